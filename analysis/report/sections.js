// The views beside the module tree: sharing, validation, numbers, the model as a whole.

function sharingView(model) {
  const {sharing} = model.raw;
  const out = [element('h2', {}, 'Shared parameters'),
    element('div', {class: 'facts'}, fact(`${withCommas(sharing.parameters.length)} of ${withCommas(sharing.total)}`, 'parameters are shared'), fact(percent(sharing.percentage), 'of all'), fact(readableBytes(sharing.bytes_saved), 'saved'))];
  if (sharing.parameters.length === 0) return [...out, empty('No parameter is shared.')];
  const patterns = {tied_embeddings: 'tied embedding', layer_sharing: 'layer', attention_sharing: 'attention', position_sharing: 'positions'};
  out.push(table([['parameter'], ['pattern'], ['size', true], ['uses', true], ['used by'], ['also known as']], sharing.parameters.map(([name, pattern, bytes, count, usedBy, aliases]) =>
    [code(name), element('span', {class: 'chip'}, patterns[pattern]), readableBytes(bytes), withCommas(count), element('div', {}, usedBy.map((tag) => element('div', {}, code(tag)))), element('div', {}, aliases.map((alias) => element('div', {}, code(alias))))])));
  return out;
}

function validationView(data) {
  const check = data.validation;
  const holds = check.findings.length === 0;
  const found = check.parameters.filter(([, foundAs]) => foundAs);
  const equal = found.filter((row) => row[5] && row[6] && row[7]);
  const out = [element('h2', {}, 'Validation'),
    element('div', {class: `status ${holds ? 'good' : 'bad'}`}, holds ? `All ${withCommas(check.checks)} checks of the file against the live module hold` : `${withCommas(check.failures)} of ${withCommas(check.checks)} checks failed`),
    element('div', {class: 'facts'}, fact(percent(check.success_rate), 'of the checks', holds ? 'good' : 'bad'), fact(percent(check.param_coverage), 'of the parameters'), fact(percent(check.module_coverage), 'of the modules that ran'),
      fact(withCommas(equal.length), 'tensors equal, byte for byte'), fact(readableBytes(check.bytes_compared), 'compared'))];
  if (!holds) out.push(element('h3', {}, 'What does not hold'), table([['check'], ['where'], ['what']], check.findings.map(([kind, subject, text]) => [element('span', {class: 'chip removed'}, kind), code(subject), text])));
  const wrong = check.parameters.filter((row) => row[1] ? !(row[5] && row[6] && row[7]) : row[2]);
  const unused = check.parameters.filter((row) => !row[1] && !row[2]);
  if (wrong.length > 0)
    out.push(element('h3', {}, 'Parameters that differ'), table([['name'], ['shape'], ['in the file'], ['what differs']], wrong.map(([name, foundAs, , shape, foundShape, shapeOk, dtypeOk, valueOk]) =>
      [code(name), code(shapeText(shape)), foundAs ? code(shapeText(foundShape)) : 'not found', !foundAs ? '' : !shapeOk ? 'shape' : !dtypeOk ? 'dtype' : !valueOk ? 'values' : ''])));
  if (unused.length > 0)
    out.push(element('h3', {}, 'Not in the file, because no operator uses them', element('span', {class: 'badge'}, withCommas(unused.length))), table([['name'], ['shape']], unused.map(([name, , , shape]) => [code(name), code(shapeText(shape))]), 50));
  return out;
}

function unsupportedView(data) {
  const out = [element('h2', {}, 'Unsupported'), element('div', {class: 'status bad'}, `The file is not the whole module: ${counted(data.unsupported.length, 'operator')} could not be exported`),
    table([['operator'], ['why'], ['in the file'], ['where']], data.unsupported.map(({operator, reason, approximated, places}) =>
      [code(operator), reason, element('span', {class: 'chip removed'}, approximated ? 'a node that cannot be run' : 'left out'), element('div', {}, places.map((place) => element('div', {}, place)))]))];
  if (data.missing_outputs.length > 0) out.push(element('h3', {}, 'Outputs that are missing'), ...data.missing_outputs.map((name) => element('div', {}, code(name))));
  return out;
}

function numbersView(data) {
  const outputs = data.numbers.flatMap((run) => run.outputs);
  const holds = outputs.every(([, matches]) => matches);
  const worst = Math.max(0, ...outputs.map((row) => row[4] ?? 0));
  const out = [element('h2', {}, 'Numbers'), element('div', {class: `status ${holds ? 'good' : 'bad'}`}, holds ? `ONNX Runtime and LibTorch agree on ${counted(outputs.length, 'output')}; they differ by ${scientific(worst)} at most` : 'ONNX Runtime and LibTorch differ')];
  for (const run of data.numbers) {
    out.push(element('h3', {}, run.inputs));
    out.push(table([['output'], ['type'], ['largest difference', true], ['relative', true], ['elements that differ', true], ['']], run.outputs.map(([name, matches, dtype, dims, abs, rel, mismatched, reason]) =>
      [code(name), code(`${dtype} ${shapeText(dims)}`), scientific(abs), scientific(rel), withCommas(mismatched), element('span', {class: `chip ${matches ? 'added' : 'removed'}`}, matches ? 'agrees' : reason || 'differs')])));
  }
  return out;
}

function aboutView(data, models) {
  const out = [element('h2', {}, 'About')];
  for (const model of models) {
    const {raw} = model;
    out.push(element('h3', {}, raw.file), table([['', false], ['', false]], [
      ['format', `${raw.format}${raw.opset ? `, opset ${raw.opset}` : ''}${raw.producer ? `, made by ${raw.producer}` : ''}`], ['class', code(raw.class)],
      ...model.inputs.map(({name, type}) => [`input ${name}`, code(type)]), ...model.outputs.map(({name, type}) => [`output ${name}`, code(type)]),
      ['modules', withCommas(model.modules.length)], ['operators', `${withCommas(model.nodes.length)} of ${counted(raw.ops.length, 'kind')}`]]));
    out.push(element('h3', {}, 'Operators'), operatorTable(model, 0));
  }
  if (data.times) {
    out.push(element('h3', {}, 'Time'), element('p', {class: 'note'}, `Time is what the nodes of the file take in ONNX Runtime, by its profiler: on one thread, without the optimisations that would fuse nodes, the mean of ${counted(data.times.runs, 'run')} after a first one, on ${data.times.inputs}. A module's is that of its nodes and of the modules below it, ${readableSeconds(models[0].modules[0].seconds)} in all.`));
  }
  const metrics = Object.entries(data.metrics);
  if (metrics.length > 0) {
    const text = (name, value) => name.endsWith('_time') ? `${value.toFixed(3)} s` : name.endsWith('_mb') ? `${value.toFixed(0)} MB` : name.includes('bytes') ? readableBytes(value) : Number.isInteger(value) ? withCommas(value) : value.toFixed(4);
    out.push(element('h3', {}, 'Metrics'), table([['', false], ['', true]], metrics.map(([name, value]) => [name.replaceAll('_', ' '), text(name, value)])));
  }
  for (const note of data.notes) out.push(element('p', {class: 'note'}, note));
  return out;
}
