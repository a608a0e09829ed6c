// The data flow of one module: its own operators, and the modules below it as boxes.

const MOST_VERTICES = 600;

// {vertices: [{kind, label, sub, key...}], edges: [{from, to}]}, in the order of the file.
function moduleGraph(model, moduleId) {
  const vertices = [], edges = new Map(), boxes = new Map(), outside = new Map();
  const vertexOf = new Int32Array(model.nodes.length).fill(-1);
  const add = (vertex) => vertices.push(vertex) - 1;
  const port = (kind, label, sub) => {
    const key = kind + label;
    if (!outside.has(key)) outside.set(key, add({kind: 'port', direction: kind, label, sub}));
    return outside.get(key);
  };
  const connect = (from, to, type) => { if (from !== to) edges.set(`${from} ${to}`, {from, to, type}); };
  const placeOf = (node) => model.modules[node.module].path || node.op;

  for (const node of model.nodes) {
    const box = boxFor(model, moduleId, node.module);
    if (box === undefined) continue;
    if (box === moduleId) {
      vertexOf[node.id] = add({kind: 'op', family: familyOf(node.op), label: node.op.replace(/^aten::/, ''), sub: node.type, node});
      continue;
    }
    if (!boxes.has(box)) boxes.set(box, add({kind: 'module', label: nameBelow(model, box, moduleId), sub: '', module: box, count: 0}));
    vertexOf[node.id] = boxes.get(box);
    ++vertices[boxes.get(box)].count;
  }
  for (const vertex of vertices) if (vertex.kind === 'module') vertex.sub = `${model.modules[vertex.module].shortClass} · ${counted(vertex.count, 'op')}`;
  for (const node of model.nodes) {
    const to = vertexOf[node.id];
    for (const source of node.nodes) {
      const from = vertexOf[source], other = model.nodes[source];
      if (from >= 0 && to >= 0) connect(from, to, other.type);
      else if (to >= 0) connect(port('from', placeOf(other), other.type), to, other.type);
      else if (from >= 0) connect(from, port('to', placeOf(node), other.type), other.type);
    }
    if (to >= 0) for (const input of node.inputs) connect(port('input', model.inputs[input].name, model.inputs[input].type), to, model.inputs[input].type);
  }
  for (const output of model.outputs)
    if (output.node >= 0 && vertexOf[output.node] >= 0) connect(vertexOf[output.node], port('output', output.name, output.type), output.type);
  return {vertices, edges: [...edges.values()]};
}

// The module itself for its own operators, the module below it that holds them for others. Modules
// that only hold others (lists) are opened.
function boxFor(model, outer, inner) {
  let box = inner;
  for (let id = inner; id !== outer; id = model.modules[id].parent) {
    if (id < 0) return undefined;
    const module = model.modules[id];
    if (id === inner || module.calls > 0 || module.own.length > 0) box = id;
  }
  return inner === outer ? outer : box;
}

function nameBelow(model, id, outer) {
  const {path} = model.modules[id], above = model.modules[outer].path;
  return above && path.startsWith(above + '.') ? path.slice(above.length + 1) : path;
}

class GraphView {
  constructor(model, moduleId, onModule) {
    this.model = model;
    this.moduleId = moduleId;
    this.onModule = onModule;
    this.page = 0;
    this.whole = moduleGraph(model, moduleId);
    this.root = element('div', {class: 'card graph'});
    this.draw();
  }

  // A large graph comes in pieces: so many vertices, in the order of the file.
  piece() {
    const {vertices, edges} = this.whole;
    if (vertices.length <= MOST_VERTICES) return this.whole;
    const first = this.page * MOST_VERTICES, last = first + MOST_VERTICES;
    return {vertices: vertices.slice(first, last),
      edges: edges.filter(({from, to}) => from >= first && from < last && to >= first && to < last)
        .map((edge) => ({...edge, from: edge.from - first, to: edge.to - first}))};
  }

  draw() {
    const graph = this.piece();
    this.graph = graph;
    for (const vertex of graph.vertices) {
      const characters = Math.max(vertex.label.length * 7.4, (vertex.sub ?? '').length * 6.1);
      vertex.width = Math.min(300, Math.max(64, characters + 22));
      vertex.height = vertex.sub ? 40 : 27;
    }
    this.bounds = layOut(graph.vertices, graph.edges);
    this.layer = element('g');
    this.svg = element('svg', {role: 'img', 'aria-label': 'Data flow'},
      element('defs', {}, element('marker', {id: 'arrow', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto'}, element('path', {d: 'M0,0 L8,4 L0,8 z', class: 'arrow'}))),
      this.layer);
    this.edgeElements = graph.edges.map((edge) => element('path', {class: 'edge', d: curve(edge.points), 'marker-end': 'url(#arrow)'}, element('title', {}, edge.type ?? '')));
    this.vertexElements = graph.vertices.map((vertex, id) => this.vertexElement(vertex, id));
    this.layer.append(...this.edgeElements, ...this.vertexElements);
    this.root.replaceChildren(this.svg, this.buttons());
    this.bind();
    requestAnimationFrame(() => this.fit(true));
  }

  vertexElement(vertex, id) {
    const kind = vertex.kind === 'op' ? `op ${vertex.family}` : vertex.kind;
    const cut = (text, most) => text.length > most ? text.slice(0, most - 1) + '…' : text;
    const made = element('g', {class: `vertex ${kind}`, transform: `translate(${vertex.x},${vertex.y})`, 'data-id': id},
      element('rect', {x: -vertex.width / 2, y: -vertex.height / 2, width: vertex.width, height: vertex.height, rx: vertex.kind === 'port' ? 13 : 6}),
      element('text', {'text-anchor': 'middle', y: vertex.sub ? -3 : 4}, cut(vertex.label, 38)));
    if (vertex.sub) made.append(element('text', {class: 'sub', 'text-anchor': 'middle', y: 12}, cut(vertex.sub, 46)));
    made.append(element('title', {}, vertex.node ? vertex.node.name : vertex.label));
    return made;
  }

  buttons() {
    const button = (text, title, onclick, disabled) => element('button', {class: 'small', title, onclick, disabled}, text);
    const box = element('div', {class: 'buttons'}, button('−', 'Zoom out', () => this.zoom(0.8)), button('+', 'Zoom in', () => this.zoom(1.25)), button('Fit', 'Show all of it', () => this.fit(false)));
    const pages = Math.ceil(this.whole.vertices.length / MOST_VERTICES);
    const turn = (by) => { this.page += by; this.draw(); };
    if (pages > 1) {
      const last = Math.min(this.whole.vertices.length, (this.page + 1) * MOST_VERTICES);
      box.prepend(`${withCommas(this.page * MOST_VERTICES + 1)}–${withCommas(last)} of ${withCommas(this.whole.vertices.length)}`,
        button('‹', 'The ones before', () => turn(-1), this.page === 0), button('›', 'The next ones', () => turn(1), this.page === pages - 1));
    }
    return box;
  }

  apply() { this.layer.setAttribute('transform', `translate(${this.x},${this.y}) scale(${this.scale})`); }

  // The whole graph; at first, not smaller than can be read: then its beginning.
  fit(readable) {
    const {width, height} = this.svg.getBoundingClientRect();
    if (width === 0) return;
    this.scale = Math.min(1.2, (width - 40) / Math.max(1, this.bounds.width), (height - 40) / Math.max(1, this.bounds.height));
    if (readable) this.scale = Math.max(this.scale, 0.72);
    this.x = width / 2 - (this.bounds.left + this.bounds.width / 2) * this.scale;
    this.y = Math.max(20, (height - this.bounds.height * this.scale) / 2);
    if (readable && this.bounds.width * this.scale > width) {
      const first = this.graph.vertices.reduce((a, b) => (b.y < a.y || (b.y === a.y && Math.abs(b.x) < Math.abs(a.x)) ? b : a));
      this.x = width / 2 - first.x * this.scale;
    }
    this.apply();
  }

  zoom(factor, x, y) {
    const {width, height} = this.svg.getBoundingClientRect();
    x ??= width / 2;
    y ??= height / 2;
    const scale = Math.min(4, Math.max(0.04, this.scale * factor));
    this.x = x - (x - this.x) * scale / this.scale;
    this.y = y - (y - this.y) * scale / this.scale;
    this.scale = scale;
    this.apply();
  }

  bind() {
    let from = null, moved = false;
    this.svg.addEventListener('wheel', (event) => {
      event.preventDefault();
      const box = this.svg.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY * 0.0015), event.clientX - box.left, event.clientY - box.top);
    }, {passive: false});
    this.svg.addEventListener('pointerdown', (event) => { from = [event.clientX - this.x, event.clientY - this.y]; moved = false; });
    this.svg.addEventListener('pointermove', (event) => {
      if (!from) return;
      const x = event.clientX - from[0], y = event.clientY - from[1];
      if (!moved && Math.hypot(x - this.x, y - this.y) < 4) return;
      if (!moved) this.svg.setPointerCapture(event.pointerId);
      moved = true;
      this.svg.classList.add('drag');
      [this.x, this.y] = [x, y];
      this.apply();
    });
    const end = () => { from = null; this.svg.classList.remove('drag'); };
    this.svg.addEventListener('pointerup', end);
    this.svg.addEventListener('pointercancel', end);
    this.svg.addEventListener('click', (event) => {
      const vertex = event.target.closest('.vertex');
      if (moved) return;
      if (!vertex) return this.choose(-1);
      const {kind, module} = this.graph.vertices[vertex.dataset.id];
      kind === 'module' ? this.onModule(module) : this.choose(Number(vertex.dataset.id));
    });
  }

  choose(id) {
    this.vertexElements.forEach((made, i) => made.classList.toggle('chosen', i === id));
    this.graph.edges.forEach(({from, to}, i) => this.edgeElements[i].classList.toggle('near', from === id || to === id));
    this.root.querySelector('.inspect')?.remove();
    if (id < 0) return;
    const vertex = this.graph.vertices[id];
    const rows = vertex.node ? nodeRows(this.model, vertex.node)
      : [[{from: 'comes from', to: 'goes to', input: 'input', output: 'output'}[vertex.direction], vertex.label], ['type', vertex.sub]];
    this.root.append(element('div', {class: 'inspect'},
      element('button', {class: 'close', title: 'Close', onclick: () => this.choose(-1)}, '✕'),
      element('h4', {}, vertex.node?.op ?? vertex.label),
      element('dl', {}, rows.filter(([, value]) => value).flatMap(([name, value]) => [element('dt', {}, name), element('dd', {class: 'mono'}, value)]))));
  }
}

function nodeRows(model, node) {
  return [['name', node.name], ['attributes', node.attributes], ['output', node.type],
    ['inputs', [...node.inputs.map((id) => model.inputs[id].name), ...node.nodes.map((id) => model.nodes[id].name)].join('\n')],
    ['parameters', node.weights.map((id) => `${model.tensors[id].name}  ${model.tensors[id].dtype} ${shapeText(model.tensors[id].shape)}`).join('\n')],
    ['source', node.source]];
}

// A smooth line through the points, leaving and arriving vertically.
function curve(points) {
  let path = `M${points[0][0]},${points[0][1]}`;
  for (let i = 1; i < points.length; ++i) {
    const [x0, y0] = points[i - 1], [x1, y1] = points[i], middle = (y0 + y1) / 2;
    path += ` C${x0},${middle} ${x1},${middle} ${x1},${y1}`;
  }
  return path;
}
