import type { CandidateVerdict } from '../../../ts/dispatch/explain.ts';
import { html, type Markup } from './markup.ts';
import type { Choice, Entry } from './model.ts';

const MARKS: Readonly<Record<CandidateVerdict['verdict'], string>> = { chosen: '→', 'passed over': '·', refused: '×' };

/** What the dispatcher chose for each case, and what became of the other kernels; cases of the same choice together. */
export function explanations(entries: readonly Entry[]): Markup | null {
  const groups = new Map<string, { readonly choice: Choice; readonly cases: string[] }>();
  for (const entry of entries) {
    if (entry.choice === null) continue;
    const key = JSON.stringify([entry.machine.details, entry.choice]);
    const group = groups.get(key) ?? { choice: entry.choice, cases: [] };
    group.cases.push(entry.case);
    groups.set(key, group);
  }
  if (groups.size === 0) return null;
  return html`${[...groups.values()].map(({ choice, cases }) => explained(choice, cases))}`;
}

function explained({ variant, kernel, reason, candidates }: Choice, cases: readonly string[]): Markup {
  const [first, ...others] = cases;
  return html`<details class="card why" data-name="${cases.join(' ')}"><summary><span class="why-case">${first!}${others.length > 0 ? html` <span class="sub">and ${String(others.length)} more</span>` : null}</span><span class="chip">${variant}</span><span class="sub">${reason}</span></summary>
${others.length > 0 ? html`<p class="sub">Also: ${others.join(', ')}.</p>` : null}
${
  candidates.length === 0
    ? html`<p>${kernel}: ${reason}.</p>`
    : html`<div class="scroll" tabindex="0" role="region" aria-label="Candidates of ${first!}"><table class="candidates"><thead><tr><th scope="col">verdict</th><th scope="col">family</th><th scope="col">kernel</th><th scope="col">reason</th></tr></thead><tbody>${candidates.map(
        (candidate) =>
          html`<tr class="${candidate.verdict === 'chosen' ? 'chosen' : ''}"><td><span aria-hidden="true">${MARKS[candidate.verdict]}</span> ${candidate.verdict}</td><th scope="row">${candidate.variant}</th><td><code>${candidate.kernel}</code></td><td>${candidate.reason}</td></tr>`,
      )}</tbody></table></div>`
}</details>`;
}
