// What is shown of one module.
function moduleDetails(model, id, state, go) {
  const module = model.modules[id];
  const crumbs = model.chain(id).map((above, i, all) => {
    const text = above === 0 ? model.modules[0].shortClass || 'model' : model.modules[above].name;
    return i === all.length - 1 ? [text] : [element('a', {onclick: () => go(above)}, text), ' › '];
  });
  const facts = element('div', {class: 'facts'},
    fact(withCommas(module.parameters), module.parameters === 1 ? 'parameter' : 'parameters'), fact(readableBytes(module.bytes), 'of weights'),
    fact(withCommas(module.operators), 'operators'), model.timed ? fact(readableSeconds(module.seconds), 'in ONNX Runtime') : undefined, module.size > 1 ? fact(withCommas(module.size - 1), 'modules below') : undefined,
    model.raw.format === 'TorchScript' || model.live ? fact(`${withCommas(module.calls)}×`, 'called') : undefined);
  const notes = [];
  if (module.sameAs >= 0) notes.push(element('p', {class: 'note'}, 'The very same module as ', element('a', {class: 'path', onclick: () => go(module.sameAs)}, code(model.modules[module.sameAs].path || '(root)')), '.'));
  if (module.calls === 0 && model.anyRan && module.operators === 0) notes.push(element('p', {class: 'note'}, 'No method of it ran for the example inputs, or nothing of it is left.'));

  const tabs = {
    flow: ['Data flow', () => module.operators === 0 ? empty('No operators to draw.') : new GraphView(model, id, go).root],
    parameters: [`Parameters`, () => parameterTable(model, id)],
    operators: ['Operators', () => operatorTable(model, id)],
    below: ['Modules', () => childTable(model, id, go)],
  };
  const body = element('div', {style: 'display:flex;flex-direction:column;flex:1 0 auto'});
  const bar = element('div', {class: 'tabs', role: 'tablist'});
  const show = (name) => {
    state.tab = name;
    for (const button of bar.children) button.setAttribute('aria-selected', button.dataset.tab === name);
    body.replaceChildren(tabs[name][1]());
  };
  for (const [name, [title]] of Object.entries(tabs)) bar.append(element('button', {role: 'tab', 'data-tab': name, onclick: () => show(name)}, title));
  show(tabs[state.tab] ? state.tab : 'flow');
  return [element('h2', {}, module.shortClass || module.name || 'Model'),
    element('div', {class: 'path'}, ...crumbs.flat(), module.className ? element('span', {}, `  ·  ${module.className}`) : ''),
    module.tag ? element('div', {class: 'path mono'}, module.tag) : '', facts, ...notes, bar, body];
}

function parameterTable(model, id) {
  const rows = [], seen = new Set();
  const visit = (at) => {
    const module = model.modules[at];
    for (const tensorId of module.tensors) {
      if (seen.has(tensorId)) continue;
      seen.add(tensorId);
      const tensor = model.tensors[tensorId];
      const shared = tensor.aliases.length || tensor.holders.length > 1;
      rows.push([code(tensor.name), tensor.isBuffer ? 'buffer' : 'parameter', code(`${tensor.dtype} ${shapeText(tensor.shape)}`),
        withCommas(tensor.elements), readableBytes(tensor.bytes), shared ? element('span', {}, 'also ', code(tensor.aliases.join(', '))) : '']);
    }
    module.children.forEach(visit);
  };
  visit(id);
  if (rows.length === 0) return empty('No parameters or buffers.');
  return table([['name'], ['kind'], ['type'], ['elements', true], ['size', true], ['shared']], rows);
}

// With time where it was measured, how it was is told in About.
function operatorTable(model, id) {
  const counts = model.operatorCounts(id);
  if (counts.length === 0) return empty('No operators.');
  const most = counts[0][1];
  const own = new Map();
  for (const node of model.modules[id].own) own.set(model.nodes[node].op, (own.get(model.nodes[node].op) ?? 0) + 1);
  const seconds = model.secondsByOperator(id);
  return table([['operator'], ['count', true], ['its own', true], ...(model.timed ? [['time', true]] : []), ['']], counts.map(([op, count]) =>
    [code(op), withCommas(count), own.has(op) ? withCommas(own.get(op)) : '', ...(model.timed ? [readableSeconds(seconds.get(op))] : []), element('div', {class: 'share', style: `width:${Math.round(220 * count / most)}px`})]));
}

function childTable(model, id, go) {
  const {children, parameters} = model.modules[id];
  if (children.length === 0) return empty('No modules below it.');
  return table([['module'], ['class'], ['parameters', true], ['size', true], ['operators', true], ...(model.timed ? [['time', true]] : []), ['']], children.map((child) => {
    const module = model.modules[child];
    return [element('a', {onclick: () => go(child)}, module.name), module.shortClass, withCommas(module.parameters), readableBytes(module.bytes), withCommas(module.operators), ...(model.timed ? [readableSeconds(module.seconds)] : []),
      element('div', {class: 'share', style: `width:${Math.round(160 * module.parameters / Math.max(1, parameters))}px`})];
  }));
}
