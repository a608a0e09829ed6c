// The module tree. Only the rows in sight are elements, so that thousands of modules are no burden.
//
// An item is {key, name, cls, parameters, bytes, operators, seconds, children, idle, status, below, module, model}.
class Tree {
  static ROW = 26;

  constructor(container, roots, onChoose) {
    this.container = container;
    this.onChoose = onChoose;
    this.space = element('div', {class: 'space'});
    container.append(this.space);
    this.items = new Map();
    this.open = new Set();
    this.roots = roots;
    this.filter = null;
    const add = (item, parent, depth) => {
      item.parent = parent;
      item.depth = depth;
      this.items.set(item.key, item);
      for (const child of item.children) add(child, item, depth + 1);
    };
    for (const root of roots) add(root, null, 0);
    this.most = Math.max(1, ...roots.map((root) => root.parameters));
    this.openFirst();
    container.addEventListener('scroll', () => this.draw());
    container.addEventListener('keydown', (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(container);
    this.refresh();
  }

  // As much of the tree as fits at first sight.
  openFirst() {
    let rows = this.roots.length, level = this.roots;
    while (level.length > 0) {
      const below = level.flatMap((item) => item.children);
      rows += below.length;
      if (rows > 60) break;
      for (const item of level) this.open.add(item.key);
      level = below;
    }
    if (this.open.size === 0) for (const root of this.roots) this.open.add(root.key);
  }

  refresh() {
    this.rows = [];
    const visit = (item) => {
      if (this.filter && !this.filter.shown.has(item.key)) return;
      this.rows.push(item);
      if (this.open.has(item.key) || this.filter?.inner.has(item.key)) item.children.forEach(visit);
    };
    this.roots.forEach(visit);
    this.space.style.height = `${this.rows.length * Tree.ROW}px`;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.container.scrollTop / Tree.ROW) - 4);
    const count = Math.ceil(this.container.clientHeight / Tree.ROW) + 8;
    this.space.replaceChildren(...this.rows.slice(first, first + count).map((item, i) => this.row(item, first + i)));
  }

  row(item, index) {
    const isOpen = this.open.has(item.key) || this.filter?.inner.has(item.key);
    const twist = element('span', {class: 'twist', onclick: (event) => { event.stopPropagation(); this.toggle(item); }},
      item.children.length === 0 ? '' : isOpen ? '▼' : '▶');
    const label = element('span', {class: 'label', style: `padding-left:${item.depth * 15}px`, title: `${item.title}\n${item.cls}`},
      twist, this.highlighted(item.name), element('span', {class: 'class'}, this.highlighted(item.shortClass), item.note ?? ''));
    if (item.status) label.append(element('span', {class: `mark ${item.status}`}, {added: '+', removed: '−', changed: '~'}[item.status]));
    else if (item.below) label.append(element('span', {class: 'mark below', title: 'differences below'}, '•'));
    const width = Math.round(26 * item.parameters / this.most);
    const bar = width > 0 ? element('span', {class: 'bar', style: `width:${width}px`}) : '';
    return element('div', {
      class: `row${item.key === this.chosen ? ' chosen' : ''}${item.idle ? ' idle' : ''} ${item.status ?? ''}`, role: 'treeitem',
      style: `top:${index * Tree.ROW}px`, 'aria-level': item.depth + 1, 'aria-selected': item.key === this.chosen, 'data-key': item.key,
      onclick: () => this.choose(item.key), ondblclick: () => this.toggle(item)},
    label, element('span', {class: 'number', title: withCommas(item.parameters)}, bar, item.parameters ? shortNumber(item.parameters) : ''),
    element('span', {class: 'number'}, item.bytes ? readableBytes(item.bytes) : ''),
    element('span', {class: 'number'}, item.operators ? withCommas(item.operators) : ''),
    element('span', {class: 'number time'}, item.seconds ? readableSeconds(item.seconds) : ''));
  }

  highlighted(text) {
    const at = this.filter ? text.toLowerCase().indexOf(this.filter.text) : -1;
    if (at < 0 || !this.filter.text) return text;
    const end = at + this.filter.text.length;
    return element('span', {}, text.slice(0, at), element('mark', {}, text.slice(at, end)), text.slice(end));
  }

  toggle(item, open = !this.open.has(item.key)) {
    if (item.children.length === 0) return;
    open ? this.open.add(item.key) : this.open.delete(item.key);
    this.refresh();
  }

  toggleAll(open) {
    this.open = new Set(open ? this.items.keys() : this.roots.map((root) => root.key));
    this.refresh();
  }

  choose(key, tell = true) {
    const item = this.items.get(key);
    if (!item) return;
    this.chosen = key;
    for (let above = item.parent; above; above = above.parent) this.open.add(above.key);
    this.refresh();
    this.reveal(item);
    if (tell) this.onChoose(item);
  }

  reveal(item) {
    const top = this.rows.indexOf(item) * Tree.ROW;
    if (top < 0) return;
    const box = this.container;
    if (top < box.scrollTop || top + Tree.ROW > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 3;
    this.draw();
  }

  // Shows the items that `matches` takes, with those above them. Returns how many it took.
  show(matches, text) {
    if (!matches) {
      this.filter = null;
      this.refresh();
      return null;
    }
    const shown = new Set(), inner = new Set();
    let count = 0;
    for (const item of this.items.values()) {
      if (!matches(item)) continue;
      ++count;
      shown.add(item.key);
      for (let above = item.parent; above && !inner.has(above.key); above = above.parent) {
        shown.add(above.key);
        inner.add(above.key);
      }
    }
    // What is below a match can still be opened.
    const addBelow = (item) => item.children.forEach((child) => { shown.add(child.key); addBelow(child); });
    if (count < 400) for (const item of this.items.values()) if (shown.has(item.key) && !inner.has(item.key)) addBelow(item);
    this.filter = {shown, inner, text};
    this.container.scrollTop = 0;
    this.refresh();
    return count;
  }

  key(event) {
    const at = this.rows.findIndex((item) => item.key === this.chosen);
    const item = this.rows[at];
    const go = (index) => { if (this.rows[index]) this.choose(this.rows[index].key); };
    const page = Math.floor(this.container.clientHeight / Tree.ROW) - 1;
    const actions = {
      ArrowDown: () => go(at + 1), ArrowUp: () => go(at - 1), Home: () => go(0), End: () => go(this.rows.length - 1),
      PageDown: () => go(Math.min(this.rows.length - 1, at + page)), PageUp: () => go(Math.max(0, at - page)),
      ArrowRight: () => item && (this.open.has(item.key) || !item.children.length ? go(at + 1) : this.toggle(item, true)),
      ArrowLeft: () => item && (this.open.has(item.key) && item.children.length ? this.toggle(item, false) : item.parent && this.choose(item.parent.key)),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }
}
