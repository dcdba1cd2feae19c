/**
 * What the page does besides standing there: theme, tooltips, arrow keys between marks, sorting, filtering, and bringing
 * one series forward. Without it, or where scripts are off, everything is still to be read.
 */
export const SCRIPT = `
'use strict';
(() => {
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // Theme: the system's, until one is chosen.
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const button = document.getElementById('theme');
  const read = () => { try { return localStorage.getItem('tilewright-theme'); } catch { return null; } };
  const current = () => root.dataset.theme ?? (dark.matches ? 'dark' : 'light');
  const label = () => {
    const next = current() === 'dark' ? 'light' : 'dark';
    button.textContent = next === 'dark' ? '☾ Dark' : '☀ Light';
    button.setAttribute('aria-label', 'Switch to the ' + next + ' theme');
  };
  const kept = read();
  if (kept === 'dark' || kept === 'light') root.dataset.theme = kept;
  button.hidden = false;
  button.addEventListener('click', () => {
    root.dataset.theme = current() === 'dark' ? 'light' : 'dark';
    try { localStorage.setItem('tilewright-theme', root.dataset.theme); } catch {}
    label();
  });
  dark.addEventListener('change', label);
  label();

  // Tooltips: what a mark is called, line by line.
  const tip = document.getElementById('tip');
  const show = (target) => {
    tip.replaceChildren();
    target.getAttribute('aria-label').split('; ').forEach((line, i) => {
      const element = document.createElement(i === 0 ? 'strong' : 'span');
      element.textContent = line;
      tip.append(element);
    });
    tip.hidden = false;
    const at = target.getBoundingClientRect();
    const own = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left + at.width / 2 - own.width / 2), innerWidth - own.width - 8);
    const above = at.top - own.height - 10;
    tip.style.left = left + 'px';
    tip.style.top = (above > 8 ? above : at.bottom + 10) + 'px';
  };
  const hide = () => { tip.hidden = true; };
  const told = '.point, .cell';
  document.addEventListener('pointerover', (event) => {
    const target = event.target.closest?.(told);
    if (target) show(target);
    else hide();
  });
  document.addEventListener('focusin', (event) => {
    const target = event.target.closest?.(told);
    if (target && target.matches(':focus-visible')) show(target);
    else hide();
  });
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') hide(); });
  addEventListener('scroll', hide, { passive: true, capture: true });

  // Arrow keys between the marks of a chart: one of them is in the order of Tab.
  for (const group of all('[data-roving]')) {
    group.addEventListener('keydown', (event) => {
      const marks = all('[tabindex]', group).filter((mark) => !mark.classList.contains('away'));
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const now = marks.indexOf(event.target);
      if (now < 0) return;
      let next;
      if (step !== undefined) next = marks[Math.min(Math.max(now + step, 0), marks.length - 1)];
      else if (event.key === 'Home') next = marks[0];
      else if (event.key === 'End') next = marks[marks.length - 1];
      else return;
      event.preventDefault();
      marks[now].setAttribute('tabindex', '-1');
      next.setAttribute('tabindex', '0');
      next.focus();
    });
  }

  // One series brought forward.
  for (const key of all('.key')) {
    key.addEventListener('click', () => {
      const section = key.closest('section');
      const pressed = key.getAttribute('aria-pressed') === 'true';
      for (const other of all('.key', section)) other.setAttribute('aria-pressed', 'false');
      key.setAttribute('aria-pressed', String(!pressed));
      for (const point of all('.point', section)) {
        point.classList.toggle('away', !pressed && point.dataset.series !== key.dataset.series);
      }
    });
  }

  // Sorting: a button in each heading.
  for (const table of all('table.sortable')) {
    const heads = all('thead th', table);
    heads.forEach((head, column) => {
      if (head.classList.contains('strip')) return;
      const sort = document.createElement('button');
      sort.type = 'button';
      sort.className = 'sort';
      sort.append(...head.childNodes);
      head.append(sort);
      sort.addEventListener('click', () => {
        const down = head.getAttribute('aria-sort') === 'descending';
        for (const other of heads) other.removeAttribute('aria-sort');
        head.setAttribute('aria-sort', down ? 'ascending' : 'descending');
        const value = (row) => {
          const cell = row.cells[column];
          return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
        };
        const body = table.tBodies[0];
        const rows = [...body.rows].sort((a, b) => {
          const [x, y] = [value(a), value(b)];
          const order = typeof x === 'number' ? x - y : x.localeCompare(y, 'en', { numeric: true });
          return down ? order : -order;
        });
        body.append(...rows);
      });
    });
  }

  // Filter: by words that all have to be there.
  const filter = document.getElementById('filter');
  const count = document.getElementById('found');
  filter.closest('label').hidden = false;
  filter.addEventListener('input', () => {
    const words = filter.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const element of all('[data-name]')) {
      const match = words.every((word) => element.dataset.name.toLowerCase().includes(word));
      if (element.classList.contains('point')) element.classList.toggle('away', !match);
      else element.hidden = !match;
      if (match && element.matches('.results tr')) shown++;
    }
    count.textContent = words.length === 0 ? '' : shown + ' results';
  });
})();
`;
