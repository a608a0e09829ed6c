// The tree of one model, or of two as one; and what differs.

const itemOf = (model, module) => ({
  name: module.parent < 0 ? module.shortClass || model.file : module.name, cls: module.className, shortClass: module.parent < 0 ? '' : module.shortClass,
  title: module.path || '(root)', parameters: module.parameters, bytes: module.bytes, operators: module.operators, seconds: module.seconds,
  idle: model.anyRan && module.calls === 0 && module.operators === 0, note: module.sameAs >= 0 ? ` = ${model.modules[module.sameAs].path}` : '',
  model, module: module.id, children: []});

function treeOf(model) {
  const items = model.modules.map((module) => ({...itemOf(model, module), key: `${model.index}:${module.id}`}));
  for (const module of model.modules) items[module.id].children = module.children.map((child) => items[child]);
  return [items[0]];
}

// Modules of the second model, and those that only the first has, where they stood.
function mergedTree(first, second, alignment, changed) {
  const counterpart = new Map();
  alignment.forEach((other, id) => { if (other >= 0) counterpart.set(other, id); });
  const items = second.modules.map((module) => ({...itemOf(second, module), key: `1:${module.id}`,
    first: counterpart.get(module.id), status: counterpart.has(module.id) ? changed[1].has(module.path) ? 'changed' : undefined : 'added'}));
  for (const module of second.modules) items[module.id].children = module.children.map((child) => items[child]);
  const removed = first.modules.map((module) => alignment[module.id] < 0 ? {...itemOf(first, module), key: `0:${module.id}`, status: 'removed'} : null);
  const roots = [items[0]];
  for (const module of first.modules) {
    const item = removed[module.id];
    if (!item) continue;
    if (module.parent < 0) { roots.unshift(item); continue; }
    const above = removed[module.parent] ?? items[alignment[module.parent]];
    const siblings = first.modules[module.parent].children;
    const before = siblings.slice(0, siblings.indexOf(module.id)).reverse().map((id) => removed[id] ?? items[alignment[id]]);
    const after = above.children.findIndex((child) => child === before[0]);
    above.children.splice(after + 1, 0, item);
  }
  const mark = (item) => {
    item.children.forEach(mark);
    item.below = item.children.some((child) => child.status || child.below);
  };
  roots.forEach(mark);
  return roots;
}

// Paths of the modules that differences are of, by model.
function changedModules(comparison, models) {
  const changed = [new Set(), new Set()];
  const owner = (model, name) => {
    const tensor = model.tensors.find((other) => other?.name === name);
    return tensor?.holders?.map((id) => model.modules[id].path) ?? [];
  };
  const path = (name) => name === '(root)' ? '' : name;
  for (const section of ['modules', 'operators'])
    for (const {name1, name2} of comparison[section]) {
      if (name1 !== null) changed[0].add(path(name1));
      if (name2 !== null) changed[1].add(path(name2));
    }
  for (const section of ['parameters', 'sharing'])
    for (const {name1, name2} of comparison[section]) {
      if (name1 !== null) owner(models[0], name1).forEach((at) => changed[0].add(at));
      if (name2 !== null) owner(models[1], name2).forEach((at) => changed[1].add(at));
    }
  return changed;
}

const SECTIONS = [['interface', 'Inputs and outputs'], ['modules', 'Modules'], ['parameters', 'Parameters and buffers'], ['operators', 'Operators'], ['sharing', 'Sharing']];

function differenceTable(entries, go) {
  const link = (name, index) => name === null ? '' : element('a', {onclick: () => go(name, index)}, code(name));
  return table([['change'], ['first'], ['second'], ['']], entries.map((entry) =>
    [element('span', {class: `chip ${entry.change}`}, entry.change), link(entry.name1, 0), entry.name1 === entry.name2 ? code('same name') : link(entry.name2, 1), entry.text]));
}

function differencesView(data, models, goTo) {
  const {comparison} = data;
  const out = [element('h2', {}, 'Differences'),
    element('div', {class: `status ${comparison.same ? 'good' : 'bad'}`}, comparison.same ? 'No differences' : counted(comparison.differences, 'difference'),
      ` · ${counted(comparison.modules_aligned, 'module')} and ${counted(comparison.parameters_aligned, 'parameter')} correspond`)];
  const sides = [comparison.model1, comparison.model2];
  out.push(table([[''], ['file'], ['format'], ['class'], ['modules', true], ['parameters', true], ['operators', true]], sides.map((side, i) =>
    [String(i + 1), code(side.file), side.format, code(side.class), withCommas(side.modules), withCommas(side.parameters), withCommas(side.operators)])));
  for (const [key, title] of SECTIONS) {
    if (comparison[key].length === 0) continue;
    out.push(element('h3', {}, title, element('span', {class: 'badge warn'}, withCommas(comparison[key].length))), differenceTable(comparison[key], goTo));
  }
  for (const note of comparison.notes) out.push(element('p', {class: 'note'}, note));
  return out;
}

// The differences of one module itself.
function differencesOf(data, models, item, goTo) {
  const {comparison} = data;
  const names = [item.model.index === 0 ? item.module : item.first, item.model.index === 1 ? item.module : undefined];
  const paths = names.map((id, i) => id === undefined ? undefined : models[i].modules[id].path || '(root)');
  const tensors = names.map((id, i) => new Set(id === undefined ? [] : models[i].modules[id].tensors.map((tensor) => models[i].tensors[tensor].name)));
  const found = [];
  for (const key of ['modules', 'operators'])
    found.push(...comparison[key].filter(({name1, name2}) => (name1 !== null && name1 === paths[0]) || (name2 !== null && name2 === paths[1])));
  for (const key of ['parameters', 'sharing'])
    found.push(...comparison[key].filter(({name1, name2}) => tensors[0].has(name1) || tensors[1].has(name2)));
  return found.length === 0 ? [] : [element('h3', {}, 'Differences of this module'), differenceTable(found, goTo), element('h3', {}, 'The module')];
}
