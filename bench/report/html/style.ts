/** Colours of series: apart from each other also for eyes that tell red and green badly, and 4.5:1 on the page. */
export const COLOURS = {
  light: ['#0b5cad', '#b4450b', '#0a7268', '#8b35d6', '#8a6100', '#b3196a', '#456f0c', '#4a5568'],
  dark: ['#6fb3ff', '#ff9f66', '#45d0bd', '#c9a2ff', '#e9c24c', '#ff8fc4', '#a9d65f', '#b3bfd0'],
} as const;

/** Ink and paper of both themes. */
const LIGHT = `
  color-scheme: light;
  --page: #f6f7f9; --card: #ffffff; --line: #dfe3e9; --grid: #e9ecf1; --ink: #16191f; --soft: #545d6b;
  --accent: #0b5cad; --bad: #b3261e; --good: #0b6b3a; --unsure: #7a5400; --band: #0b5cad1f; --shade: #eef1f5;
  --tip: #16191f; --tip-ink: #f6f7f9; --shadow: 0 1px 2px #1018280d, 0 2px 8px #1018280d;
  ${COLOURS.light.map((colour, i) => `--c${i}: ${colour};`).join(' ')}
  --h0: #0b4f93; --h0-ink: #fff; --h1: #2f74b5; --h1-ink: #fff; --h2: #8db9de; --h2-ink: #0d1b2a;
  --h3: #bdd6eb; --h3-ink: #0d1b2a; --h4: #dde8f2; --h4-ink: #0d1b2a; --h5: #f0f3f6; --h5-ink: #333c49;`;
const DARK = `
  color-scheme: dark;
  --page: #0e1116; --card: #161a21; --line: #2b323d; --grid: #232a34; --ink: #e8ebf0; --soft: #a3adbb;
  --accent: #6fb3ff; --bad: #ff8f85; --good: #5fd393; --unsure: #e9c24c; --band: #6fb3ff26; --shade: #1f252e;
  --tip: #e8ebf0; --tip-ink: #10141a; --shadow: none;
  ${COLOURS.dark.map((colour, i) => `--c${i}: ${colour};`).join(' ')}
  --h0: #8cc4ff; --h0-ink: #08131f; --h1: #5b9ada; --h1-ink: #08131f; --h2: #33649a; --h2-ink: #fff;
  --h3: #284a70; --h3-ink: #fff; --h4: #20344c; --h4-ink: #e8ebf0; --h5: #1b232d; --h5-ink: #c3ccd8;`;

const STEPS = [0, 1, 2, 3, 4, 5];

export const STYLE = `
:root {${LIGHT}
}
@media (prefers-color-scheme: dark) { :root:not([data-theme=light]) {${DARK}
} }
:root[data-theme=dark] {${DARK}
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { scroll-padding-top: 64px; }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; }
main, .top, footer { max-width: 1180px; margin: 0 auto; padding: 0 24px; }
.bar-top { position: sticky; top: 0; z-index: 5; background: var(--card); border-bottom: 1px solid var(--line); }
.bar-top .top { display: flex; align-items: center; gap: 8px 20px; padding-top: 8px; padding-bottom: 8px; }
.bar-top nav { display: flex; gap: 4px 18px; flex: 1; overflow-x: auto; }
.bar-top nav a { color: var(--soft); text-decoration: none; white-space: nowrap; padding: 6px 0; }
.bar-top nav a:hover { color: var(--ink); text-decoration: underline; text-underline-offset: 5px; }
.brand { font-weight: 700; letter-spacing: -.01em; white-space: nowrap; }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--line); border-radius: 8px; padding: 4px 12px; cursor: pointer; white-space: nowrap; }
button:hover { border-color: var(--soft); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
header.hero { padding: 40px 0 8px; }
h1 { font-size: clamp(28px, 5vw, 42px); line-height: 1.12; letter-spacing: -.025em; margin: 0 0 10px; overflow-wrap: anywhere; }
h2 { font-size: 24px; letter-spacing: -.015em; margin: 52px 0 6px; }
h3 { font-size: 17px; margin: 28px 0 4px; }
h2 + .lead { margin-top: 0; }
.panel h3:first-child, .block:first-child > h3 { margin-top: 0; }
.lead, .sub { color: var(--soft); }
.lead { max-width: 78ch; margin: 0 0 18px; }
.sub { font-size: 13.5px; }
.machines { list-style: none; margin: 0; padding: 0; color: var(--soft); }
.machines b { color: var(--ink); font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 26px 0 0; padding: 0; list-style: none; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 14px 18px; box-shadow: var(--shadow); }
.tile b { display: block; font-size: 30px; line-height: 1.2; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13.5px; }
.tile.bad b { color: var(--bad); } .tile.good b { color: var(--good); } .tile.unsure b { color: var(--unsure); }
.warning { border-left: 4px solid var(--unsure); background: var(--card); border-radius: 0 10px 10px 0; padding: 10px 16px; margin: 14px 0 0; }
.warning b { color: var(--unsure); }
.card, .panel { background: var(--card); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shadow); margin: 0; }
.panel { padding: 18px; margin-top: 14px; }
.scroll { overflow-x: auto; border-radius: 8px; }
.legend, .verdicts { list-style: none; display: flex; flex-wrap: wrap; gap: 8px; padding: 0; margin: 6px 0 14px; }
.key { display: inline-flex; align-items: center; gap: 6px; border-radius: 999px; padding: 3px 12px 3px 8px; font-size: 13.5px; }
.key[aria-pressed=true] { border-color: var(--accent); background: var(--band); }
.verdicts li { border: 1px solid currentColor; border-radius: 999px; padding: 2px 12px; font-size: 13.5px; }
.v-slower { color: var(--bad); } .v-faster { color: var(--good); } .v-inconclusive { color: var(--unsure); } .v-same { color: var(--soft); }
svg.chart { display: block; font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; }
svg.chart text { fill: var(--soft); font-variant-numeric: tabular-nums; }
svg.roofline { width: 100%; min-width: 680px; height: auto; }
.grid path { stroke: var(--grid); fill: none; }
.axis path { stroke: var(--soft); fill: none; }
.roof { stroke: var(--ink); stroke-width: 2; fill: none; stroke-linecap: round; }
.band { fill: var(--band); }
svg.chart .roof-label { fill: var(--ink); font-weight: 600; font-size: 13px; }
svg.chart .axis-title { font-size: 13px; }
${COLOURS.light.map((_, i) => `.c${i} { --series: var(--c${i}); }`).join('\n')}
.mark { fill: var(--series, currentColor); stroke: var(--card); stroke-width: 1.5; paint-order: stroke; }
.point { cursor: pointer; outline: none; }
.point .whisker, .point .stem { pointer-events: none; }
.point .whisker { stroke: var(--series); stroke-width: 2; opacity: .55; fill: none; }
.point .stem { stroke: var(--series); stroke-dasharray: 2 4; fill: none; opacity: 0; }
.point:hover .stem, .point:focus-visible .stem { opacity: 1; }
.point:hover .mark, .point:focus-visible .mark { stroke: var(--ink); stroke-width: 2.5; }
.point.away { opacity: .12; pointer-events: none; }
svg.chart .mark-label { font-size: 11px; fill: var(--ink); pointer-events: none; }
#tip { position: fixed; z-index: 9; max-width: min(380px, calc(100vw - 16px)); background: var(--tip); color: var(--tip-ink); border-radius: 10px; padding: 9px 13px; font-size: 13px; line-height: 1.45; pointer-events: none; box-shadow: 0 6px 24px #0005; }
#tip > * { display: block; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(310px, 100%), 1fr)); gap: 14px; margin-top: 12px; }
.cards .card { padding: 14px 16px 10px; min-width: 0; }
figcaption strong { display: block; font-size: 14px; line-height: 1.35; overflow-wrap: anywhere; }
figcaption .sub { display: block; font-variant-numeric: tabular-nums; }
svg.small { width: 100%; height: auto; margin-top: 8px; }
svg.small text { font-size: 11px; }
.bar { fill: var(--series); opacity: .55; }
.interval { fill: var(--band); }
.ecdf { stroke: var(--soft); fill: none; stroke-width: 1.25; stroke-dasharray: 3 2; }
.median { stroke: var(--ink); stroke-width: 2; fill: none; }
svg.chart .median-label { fill: var(--ink); font-weight: 600; }
.rule { stroke: var(--ink); fill: none; stroke-width: 1.5; }
svg.chart .rule-label { font-size: 10px; fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
.course { stroke: var(--series); fill: none; stroke-width: 1.5; }
.course-area { fill: var(--series); opacity: .14; }
details.group { margin-top: 14px; }
details.group > summary { cursor: pointer; font-weight: 600; font-size: 17px; padding: 6px 0; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; font-size: 17px; padding: 6px 0 8px; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line); vertical-align: middle; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 500; font-size: 13px; vertical-align: bottom; }
tbody th { font-weight: 500; }
tbody tr:hover { background: var(--shade); }
tbody tr:target, tbody tr:focus { background: var(--band); }
tbody tr:last-child > * { border-bottom: 0; }
.num { text-align: right; }
td.because, table.candidates td:last-child { white-space: normal; min-width: 240px; }
.sort { border: 0; padding: 0; color: inherit; border-radius: 3px; white-space: nowrap; }
th[aria-sort] .sort { color: var(--ink); font-weight: 700; }
th[aria-sort=descending] .sort::after { content: ' ↓'; }
th[aria-sort=ascending] .sort::after { content: ' ↑'; }
.share { display: inline-flex; align-items: center; gap: 10px; }
.share .num { min-width: 4ch; }
.track { fill: var(--shade); } .fill { fill: var(--accent); }
.strip .threshold { fill: var(--shade); } .strip .one { stroke: var(--soft); stroke-dasharray: 3 3; fill: none; }
.strip .whisker { stroke: currentColor; stroke-width: 2; fill: none; }
svg.axis-strip text { font-size: 11px; }
.heats { display: flex; flex-wrap: wrap; gap: 14px; margin-top: 14px; }
.heat { padding: 16px; max-width: 100%; }
.heat .scroll { margin-top: 10px; }
.cell { outline: none; }
.cell:hover rect, .cell:focus-visible rect { stroke: var(--ink); stroke-width: 2.5; }
svg.chart .cell text { font-size: 13px; pointer-events: none; }
${STEPS.map((i) => `.cell.h${i} rect { fill: var(--h${i}); } svg.chart .cell.h${i} text { fill: var(--h${i}-ink); } .swatch.h${i} { background: var(--h${i}); color: var(--h${i}-ink); }`).join('\n')}
.cell.empty rect { fill: none; stroke: var(--line); stroke-dasharray: 3 3; }
.cell.best rect { stroke: var(--ink); stroke-width: 2.5; } svg.chart .cell.best text { font-weight: 700; }
.heat-key { font-size: 13.5px; color: var(--soft); display: flex; flex-wrap: wrap; gap: 4px; align-items: center; }
.swatch { padding: 2px 9px; border-radius: 5px; font-size: 12.5px; font-variant-numeric: tabular-nums; }
.swatch.empty { border: 1px dashed var(--line); }
.why { padding: 12px 18px; margin-top: 8px; }
.why summary { cursor: pointer; display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; }
.why summary::before { content: '▸'; color: var(--soft); } .why[open] summary::before { content: '▾'; }
.why-case { font-weight: 600; }
.chip { background: var(--band); border-radius: 999px; padding: 1px 10px; font-size: 13px; }
.chosen { background: var(--band); } .chosen > * { font-weight: 600; }
code { font: 12.5px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.tools { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; margin: 4px 0 12px; }
.tools input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 5px 12px; width: min(320px, 60vw); margin-left: 8px; }
footer { color: var(--soft); font-size: 13.5px; padding-top: 40px; padding-bottom: 48px; max-width: 1180px; }
footer p { max-width: 90ch; }
@media (max-width: 640px) {
  main, .top, footer { padding-left: 14px; padding-right: 14px; }
  header.hero { padding-top: 24px; } h2 { margin-top: 40px; }
  .panel { padding: 12px; } .tile { padding: 10px 14px; } .tile b { font-size: 24px; }
  .tiles { grid-template-columns: repeat(2, 1fr); }
}
@media print {
  .bar-top, .tools { display: none; } body { background: #fff; } .card, .panel { break-inside: avoid; box-shadow: none; }
}
`;
