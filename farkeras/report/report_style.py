"""The style of the HTML report: system fonts, light and dark, one column on a phone."""

CSS = """
:root { color-scheme: light dark; --page: #f6f7f8; --card: #ffffff; --ink: #1b2126; --soft: #5b6670;
  --line: #dde2e6; --good: #0b7a6f; --bad: #c2410c; --note: #fff4e0; --note-ink: #7a4100; }
@media (prefers-color-scheme: dark) { :root { --page: #111518; --card: #1a2025; --ink: #e8ecef;
  --soft: #9aa6b0; --line: #323b43; --good: #2cc5b2; --bad: #fb8b4b; --note: #3a2a10;
  --note-ink: #ffd28a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.45;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 28px 16px 64px; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 44px 0 4px; }
h3 { font-size: 0.95rem; margin: 0; }
p { margin: 4px 0; }
.soft { color: var(--soft); font-size: 0.9rem; overflow-wrap: anywhere; max-width: 78ch; }
.banner { background: var(--note); color: var(--note-ink); border-left: 5px solid currentColor;
  padding: 12px 16px; margin: 18px 0 0; border-radius: 6px; font-weight: 600; }
.grid { display: grid; gap: 14px; margin-top: 16px;
  grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); }
.cards { grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 12px; }
@media (min-width: 1100px) { .cards:has(> :nth-child(7)) {
  grid-template-columns: repeat(4, 1fr); } }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px; min-width: 0; }
.card strong { display: block; font-size: 1.75rem; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.card .name { font-size: 0.85rem; font-weight: 600; }
.card .remark { display: block; font-size: 0.78rem; line-height: 1.3; color: var(--soft); }
.columns { columns: 2 340px; column-gap: 14px; margin-top: 16px; }
.columns .card { break-inside: avoid; margin-bottom: 14px; }
.group-head { display: flex; justify-content: space-between; align-items: baseline; gap: 8px;
  margin-bottom: 6px; font-variant-numeric: tabular-nums; }
.row { display: grid; grid-template-columns: 10.6em minmax(60px, 1fr) 6.6em; gap: 8px;
  align-items: center; font-size: 0.84rem; height: 1.75em; }
.row .label { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.row .value { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.axis { color: var(--soft); height: 1.3em; }
.value small { font-size: 0.9em; color: var(--soft); }
.track { position: relative; height: 100%; }
.track span { position: absolute; font-size: 0.88em; transform: translateX(-50%); }
.track i { position: absolute; top: 50%; }
.track .rail { left: 0; right: 0; height: 1px; background: var(--line); }
.track .span { height: 8px; margin-top: -4px; background: currentColor; opacity: 0.32; }
.track .ci { height: 2px; margin-top: -1px; background: currentColor; }
.track .dot { width: 10px; height: 10px; margin: -5px 0 0 -5px; border-radius: 50%;
  background: currentColor; }
.track .tick { width: 3px; height: 16px; margin: -8px 0 0 -1.5px; background: var(--ink);
  border-radius: 1px; }
.good { color: var(--good); } .bad { color: var(--bad); }
.key { display: inline-flex; align-items: center; gap: 6px; margin-right: 16px; }
.key .track { display: inline-block; width: 34px; height: 16px; }
figure { margin: 0; }
figure svg { display: block; width: 100%; height: auto; margin-top: 8px;
  stroke-linejoin: round; }
.picture { overflow-x: auto; margin-bottom: 8px; }
.picture img { display: block; max-width: max(100%, 640px); height: auto; margin: 0 auto; border-radius: 6px; }
figcaption { font-size: 0.82rem; color: var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 0.8rem; margin-top: 6px; }
.legend span { display: inline-flex; align-items: center; gap: 6px; }
.legend i { width: 18px; border-top: 3px solid; }
.legend i.dashed { border-top-style: dashed; }
.card.scroll { overflow-x: auto; margin-top: 14px; padding: 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.84rem; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
th, td { padding: 6px 9px; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0;
  background: var(--card); }
thead th { font-weight: 600; color: var(--soft); }
tbody th { font-weight: 500; }
tbody tr:last-child > * { border-bottom: 0; }
dl { display: grid; gap: 0 28px; margin: 16px 0 0; font-size: 0.84rem;
  grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); }
dl div { display: flex; justify-content: space-between; gap: 16px; padding: 5px 0;
  border-bottom: 1px solid var(--line); }
dt { color: var(--soft); }
dd { margin: 0; text-align: right; overflow-wrap: anywhere; min-width: 0;
  font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 0.8rem; }
@media (max-width: 480px) { .cards { grid-template-columns: 1fr 1fr; }
  .row { grid-template-columns: 10.2em minmax(50px, 1fr) 6.1em; font-size: 0.8rem; gap: 6px; }
  .card { padding: 12px; } }
"""
