// A model as the page uses it, made from the rows that report_html.cpp writes.
class Model {
  constructor(raw, index, times) {
    this.raw = raw;
    this.index = index;
    this.file = raw.file;
    this.inputs = raw.inputs.map(([name, type]) => ({name, type}));
    this.outputs = raw.outputs.map(([name, type, node]) => ({name, type, node}));
    this.tensors = raw.tensors.map((row, id) => row && this.tensorOf(row, id));
    this.modules = raw.modules.map((row, id) => this.moduleOf(row, id));
    this.nodes = raw.nodes.map((row, id) => this.nodeOf(row, id));
    this.timed = times !== undefined;
    this.nodes.forEach((node, id) => { node.seconds = times?.seconds[id] ?? 0; });
    for (const module of this.modules) {
      if (module.parent >= 0) this.modules[module.parent].children.push(module.id);
      for (const tensor of module.tensors) (this.tensors[tensor].holders ??= []).push(module.id);
    }
    for (const node of this.nodes) this.modules[node.module].own.push(node.id);
    this.sum();
    this.byPath = new Map(this.modules.map((module) => [module.path, module.id]));
    this.anyRan = this.modules.some((module) => module.calls > 0);
  }

  tensorOf([name, dtype, shape, bytes, role, aliases], id) {
    const elements = shape.reduce((product, size) => product * size, 1);
    return {id, name, dtype, shape, bytes, isBuffer: role === 1, aliases, elements};
  }

  moduleOf([path, cls, parent, sameAs, calls, tag, tensors], id) {
    const className = this.raw.classes[cls];
    return {id, path, className, parent, sameAs, calls, tag, tensors, children: [], own: [],
      shortClass: className.slice(className.lastIndexOf('.') + 1),
      name: path.slice(path.lastIndexOf('.') + 1)};
  }

  nodeOf([name, op, module, type, source, attributes, nodes, inputs, weights], id) {
    return {id, name, op: this.raw.ops[op], module, type: this.raw.types[type],
      source: this.raw.sources[source], attributes, nodes, inputs, weights};
  }

  // Parameters, bytes, operators and time of each module with those below it; what several modules
  // hold counts once in each sum.
  sum() {
    for (let id = this.modules.length - 1; id >= 0; --id) {
      const module = this.modules[id];
      module.held = new Set(module.tensors);
      module.operators = module.own.length;
      module.seconds = module.own.reduce((sum, node) => sum + this.nodes[node].seconds, 0);
      module.size = 1;
      for (const child of module.children) {
        for (const tensor of this.modules[child].held) module.held.add(tensor);
        module.operators += this.modules[child].operators;
        module.seconds += this.modules[child].seconds;
        module.size += this.modules[child].size;
      }
      module.parameters = 0;
      module.bytes = 0;
      for (const id of module.held) {
        const tensor = this.tensors[id];
        if (tensor.isBuffer) continue;
        module.parameters += tensor.elements;
        module.bytes += tensor.bytes;
      }
    }
    for (const module of this.modules) delete module.held;
  }

  // From the root to the module itself.
  chain(id) {
    const chain = [];
    for (; id >= 0; id = this.modules[id].parent) chain.unshift(id);
    return chain;
  }

  isWithin(id, outer) {
    while (id >= 0 && id !== outer) id = this.modules[id].parent;
    return id >= 0;
  }

  secondsByOperator(module) {
    const seconds = new Map();
    for (const node of this.nodes)
      if (this.isWithin(node.module, module)) seconds.set(node.op, (seconds.get(node.op) ?? 0) + node.seconds);
    return seconds;
  }

  // [operator, count], the most frequent first, of a module and all below it.
  operatorCounts(module) {
    const counts = new Map();
    for (const node of this.nodes)
      if (this.isWithin(node.module, module)) counts.set(node.op, (counts.get(node.op) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  }
}
