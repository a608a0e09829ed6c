// Elements and texts.

// element('div', {class: 'x', onclick: f}, child, 'text', ...)
function element(tag, attributes = {}, ...children) {
  const svg = ['svg', 'g', 'path', 'rect', 'text', 'defs', 'marker', 'title'].includes(tag);
  const made = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return made;
}

const withCommas = (number) => number.toLocaleString('en-US');

function readableBytes(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  for (; bytes >= 999.95 && unit < 4; ++unit) bytes /= 1000;
  return unit === 0 ? `${bytes} B` : `${bytes.toFixed(1)} ${units[unit]}`;
}

function readableSeconds(seconds) {
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  return seconds < 1 ? `${(seconds * 1e3).toPrecision(3)} ms` : `${seconds.toFixed(2)} s`;
}

function shortNumber(number) {
  if (number < 100000) return withCommas(number);
  if (number < 1e9) return `${(number / 1e6).toFixed(number < 1e7 ? 2 : 1)} M`;
  return `${(number / 1e9).toFixed(2)} G`;
}

const counted = (count, noun) => `${withCommas(count)} ${noun}${count === 1 ? '' : 's'}`;
const percent = (share) => `${(100 * share).toFixed(share === 1 || share === 0 ? 0 : 1)} %`;
const scientific = (number) => number === null ? '–' : number === 0 ? '0' : number.toExponential(1);
const shapeText = (shape) => `[${shape.join(', ')}]`;

// A table: columns are [heading, isNumber]; rows are lists of texts or elements. Long ones are shown
// piece by piece.
function table(columns, rows, piece = 300) {
  const body = element('tbody');
  const head = element('tr', {}, columns.map(([title, number]) => element('th', number ? {class: 'number'} : {}, title)));
  const card = element('div', {class: 'card'}, element('table', {}, element('thead', {}, head), body));
  let shown = 0;
  const more = element('button', {class: 'small', onclick: () => show()});
  function show() {
    for (const row of rows.slice(shown, shown + piece))
      body.append(element('tr', {}, row.map((cell, i) => element('td', columns[i][1] ? {class: 'number'} : {}, cell))));
    shown = Math.min(rows.length, shown + piece);
    more.textContent = `${withCommas(rows.length - shown)} more`;
    more.hidden = shown === rows.length;
  }
  show();
  if (!more.hidden) card.append(element('div', {class: 'empty'}, more));
  return card;
}

const fact = (value, label, kind) => element('div', {class: 'fact'}, element('b', kind ? {class: `${kind}-text`} : {}, value), element('span', {}, label));
const code = (text) => element('code', {}, text);
const empty = (text) => element('div', {class: 'card'}, element('div', {class: 'empty'}, text));

// Families of operators, for their colours.
const FAMILIES = [
  ['flow', /^(If|Loop|Scan|prim::)/],
  ['matrix', /MatMul|Gemm|Conv|Einsum|Attention|LSTM|GRU|RNN|linear|matmul|bmm|addmm|attention|::mm$/i],
  ['lookup', /Gather|Scatter|embedding|OneHot|index|TopK|NonZero/i],
  ['norm', /Norm|Softmax|Relu|Gelu|Sigmoid|Tanh|Elu|Selu|silu|Erf|Softplus|HardSwish|Mish|Dropout|Pool|softmax|activation/i],
  ['shape', /Shape|Reshape|Transpose|Squeeze|Concat|Split|Slice|Expand|Cast|Identity|Constant|Tile|Pad|view|permute|::to\b|contiguous|flatten|::size|::cat|chunk|::t\b|arange|Range/i],
  ['arith', /Add|Sub|Mul|Div|Pow|Sqrt|Exp|Log|Neg|Where|Reduce|Min|Max|Equal|Less|Greater|And|Or|Not|Abs|Clip|Mod|Sum|Mean|sin|cos|masked|rsqrt|lt|gt|eq|ne/i],
];
const familyOf = (op) => FAMILIES.find(([, pattern]) => pattern.test(op))?.[0] ?? 'op';
