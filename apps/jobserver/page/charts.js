// Two pictures: how long jobs take, and how late the server's loop is.

const seconds = 60;  // of lateness
const wallClasses = [1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, Infinity];  // ms, upper ends
const wallNames = ['1 ms', '3', '10', '30', '100', '300', '1 s', '3', '10', '30', 'more'];

const wallCounts = wallClasses.map(() => 0);
const lateness = [];

export const countWall = ms => ++wallCounts[wallClasses.findIndex(upper => ms <= upper)];
export const forgetWalls = () => wallCounts.fill(0);

export function countLateness(ms) {
  lateness.push(ms);
  if (lateness.length > seconds) lateness.shift();
}

function svg(name, attributes, text = '') {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

// bars: [{value, label, title}]
function draw(picture, bars, highest, said) {
  const width = picture.clientWidth, height = picture.clientHeight, foot = 18, head = 18;
  const step = width / bars.length;
  const parts = [svg('text', {x: 0, y: 11}, said)];
  bars.forEach((bar, i) => {
    const tall = highest > 0 ? (height - foot - head) * bar.value / highest : 0;
    const rect = svg('rect', {x: i * step + 1, y: height - foot - tall, width: Math.max(step - 2, 1), height: Math.max(tall, bar.value > 0 ? 1 : 0), rx: 1});
    if (bar.title) rect.append(svg('title', {}, bar.title));
    parts.push(rect);
    if (bar.label) parts.push(svg('text', {x: i * step + step / 2, y: height - 4, 'text-anchor': 'middle'}, bar.label));
  });
  parts.push(svg('line', {x1: 0, x2: width, y1: height - foot, y2: height - foot}));
  picture.setAttribute('aria-label', said);
  picture.replaceChildren(...parts);
}

export function drawCharts(walls, late) {
  const most = Math.max(...wallCounts);
  const all = wallCounts.reduce((sum, count) => sum + count, 0);
  draw(walls, wallNames.map((label, i) => ({value: wallCounts[i], label, title: wallCounts[i] + ' up to ' + label})),
    most, all ? all + (all === 1 ? ' job' : ' jobs') + ', at most ' + most + ' in a class' : 'none yet');
  const bars = lateness.map(ms => ({value: ms, title: ms.toFixed(1) + ' ms'}));
  while (bars.length < seconds) bars.unshift({value: 0});
  const worst = Math.max(0, ...lateness);
  draw(late, bars, Math.max(worst, 5), lateness.length ? 'worst ' + worst.toFixed(1) + ' ms in the last minute' : 'none yet');
}
