// The page: views, the tree beside them, and the address (#module=PATH, #view=NAME) that tells what is
// shown.
const $ = (id) => document.getElementById(id);

function start() {
  const data = JSON.parse($('data').textContent);
  const models = data.models.map((raw, index) => new Model(raw, index, index === 0 ? data.times : undefined));
  const shown = models[models.length - 1];
  shown.live = data.validation !== undefined;
  const title = models.map((model) => model.file).join(' and ');
  document.title = `${title} – modelexport`;
  $('title').textContent = title;
  $('subtitle').textContent = models.length > 1 ? 'comparison of two models'
    : [shown.modules[0].shortClass, shown.raw.format + (shown.raw.opset ? ` opset ${shown.raw.opset}` : ''), counted(shown.modules[0].parameters, 'parameter'), counted(shown.nodes.length, 'operator')].filter(Boolean).join('  ·  ');

  $('tree').parentElement.classList.toggle('timed', shown.timed);
  const state = {tab: 'flow'};
  const badge = (text, kind) => element('span', {class: `badge ${kind}`}, text);
  const views = {module: ['Modules', badge(withCommas(shown.modules.length), '')]};
  if (data.comparison) views.differences = ['Differences', badge(withCommas(data.comparison.differences), data.comparison.same ? 'good' : 'warn')];
  if (shown.raw.sharing.parameters.length > 0 || !data.comparison) views.sharing = ['Sharing', badge(withCommas(shown.raw.sharing.parameters.length), '')];
  if (data.validation) views.validation = ['Validation', badge(data.validation.findings.length === 0 ? '✓' : withCommas(data.validation.findings.length), data.validation.findings.length === 0 ? 'good' : 'bad')];
  if (data.unsupported) views.unsupported = ['Unsupported', badge(withCommas(data.unsupported.length), 'bad')];
  if (data.numbers.length > 0) {
    const holds = data.numbers.every((run) => run.outputs.every(([, matches]) => matches));
    views.numbers = ['Numbers', badge(holds ? '✓' : '✗', holds ? 'good' : 'bad')];
  }
  views.about = ['About'];
  for (const [name, content] of Object.entries(views)) $('views').append(element('button', {role: 'tab', 'data-view': name, onclick: () => show(name)}, content));

  const changed = data.comparison && changedModules(data.comparison, models);
  const roots = data.comparison ? mergedTree(models[0], models[1], data.alignment, changed) : treeOf(shown);
  const tree = new Tree($('tree'), roots, (item) => show('module', item));
  let current = roots[roots.length - 1];

  const keyOf = (model, id) => {
    const other = models.length > 1 && model.index === 0 ? data.alignment[id] : -1;
    return other >= 0 ? `1:${other}` : `${model.index}:${id}`;
  };
  const goTo = (name, index) => {  // a module's path or a tensor's name
    const model = models[index];
    const path = name === '(root)' ? '' : name;
    const id = model.byPath.get(path) ?? model.tensors.find((tensor) => tensor?.name === name)?.holders?.[0];
    if (id !== undefined) tree.choose(keyOf(model, id));
  };

  function show(name, item) {
    if (item) current = item;
    for (const button of $('views').children) button.setAttribute('aria-selected', button.dataset.view === name);
    const go = (id) => tree.choose(keyOf(current.model, id));
    const contents = {
      module: () => [...(data.comparison ? differencesOf(data, models, current, goTo) : []), ...moduleDetails(current.model, current.module, state, go)],
      differences: () => differencesView(data, models, goTo), sharing: () => sharingView(shown), validation: () => validationView(data),
      unsupported: () => unsupportedView(data), numbers: () => numbersView(data), about: () => aboutView(data, models),
    };
    $('content').replaceChildren(...contents[name]());
    $('content').scrollTop = 0;
    if (name === 'module' && tree.chosen !== current.key) tree.choose(current.key, false);
    const address = name === 'module' ? `#module=${encodeURIComponent(current.model.modules[current.module].path)}` : `#view=${name}`;
    if (location.hash !== address) history.replaceState(null, '', address);
  }

  function search() {
    const text = $('search').value.trim().toLowerCase(), only = $('only').checked;
    const ops = new Map();  // operators by module, made when they are first asked for
    const hasOperator = (item) => {
      if (!ops.has(item.key)) ops.set(item.key, new Set(item.model.modules[item.module].own.map((id) => item.model.nodes[id].op.toLowerCase())));
      return [...ops.get(item.key)].some((op) => op === text || op === `aten::${text}`);
    };
    const takes = (item) => !text || item.title.toLowerCase().includes(text) || item.cls.toLowerCase().includes(text) || hasOperator(item);
    const count = tree.show(text || only ? (item) => (!only || item.status) && takes(item) : null, text);
    $('found').textContent = count === null ? '' : withCommas(count);
  }

  $('search').addEventListener('input', search);
  $('search').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && tree.filter) {
      const hit = tree.rows.find((item) => item.title.toLowerCase().includes(tree.filter.text)) ?? tree.rows[0];
      if (hit) tree.choose(hit.key);
    }
    if (event.key === 'Escape') { $('search').value = ''; search(); }
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.target.tagName === 'INPUT') return;
    event.preventDefault();
    $('search').focus();
  });
  $('expand').addEventListener('click', () => tree.toggleAll(true));
  $('collapse').addEventListener('click', () => tree.toggleAll(false));
  $('only-label').hidden = !data.comparison;
  $('only').addEventListener('change', search);

  const read = () => {
    const address = new URLSearchParams(location.hash.slice(1));
    if (views[address.get('view')]) return show(address.get('view'));
    const id = shown.byPath.get(address.get('module') ?? '');
    if (address.has('module') && id !== undefined) return tree.choose(`${shown.index}:${id}`);
    show(data.comparison ? 'differences' : data.unsupported ? 'unsupported' : data.validation?.findings.length ? 'validation' : 'module');
  };
  window.addEventListener('hashchange', read);
  read();
}

function bindTheme() {
  const set = (theme) => { document.documentElement.dataset.theme = theme; };
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  set(dark.matches ? 'dark' : 'light');
  dark.addEventListener('change', () => set(dark.matches ? 'dark' : 'light'));
  $('theme').addEventListener('click', () => set(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'));
}

function bindSplitter() {
  $('splitter').addEventListener('pointerdown', (event) => {
    $('splitter').setPointerCapture(event.pointerId);
    const move = (moved) => { document.querySelector('aside').style.width = `${moved.clientX}px`; };
    $('splitter').addEventListener('pointermove', move);
    $('splitter').addEventListener('pointerup', () => $('splitter').removeEventListener('pointermove', move), {once: true});
  });
}

bindTheme();
bindSplitter();
start();
