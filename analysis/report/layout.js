// Layered drawing of a directed graph, top down. Vertices have width and height, and get x and y (of
// their centres); edges {from, to} get points. Edges that would close a cycle point upwards.
function layOut(vertices, edges) {
  const GAP_X = 26, GAP_Y = 34, MOST_DUMMIES = 6000;
  const count = vertices.length;
  const {rank, isBack} = ranks(count, edges);
  const forward = edges.filter((edge, i) => !isBack[i]);

  // Long edges pass through a dummy in each layer between, unless that makes too many.
  const layers = [];
  const put = (vertex) => { (layers[vertex.rank] ??= []).push(vertex); return vertex; };
  const boxes = vertices.map((vertex, id) => put({id, width: vertex.width, height: vertex.height, rank: rank[id], up: [], down: []}));
  const link = (a, b) => { a.down.push(b); b.up.push(a); };
  let dummies = 0;
  for (const edge of forward) {
    const from = boxes[edge.from], to = boxes[edge.to];
    edge.via = [];
    let last = from;
    for (let r = from.rank + 1; r < to.rank && dummies < MOST_DUMMIES; ++r, ++dummies) {
      const dummy = put({id: -1, width: 8, height: 0, rank: r, up: [], down: []});
      link(last, dummy);
      edge.via.push(dummy);
      last = dummy;
    }
    link(last, to);
  }
  order(layers);
  place(layers, GAP_X);

  let y = 0;
  for (const layer of layers) {
    const height = Math.max(...layer.map((box) => box.height));
    for (const box of layer) box.y = y + height / 2;
    y += height + GAP_Y;
  }
  vertices.forEach((vertex, id) => { vertex.x = boxes[id].x; vertex.y = boxes[id].y; });
  for (const edge of edges) {
    const from = boxes[edge.from], to = boxes[edge.to];
    if (edge.via) {
      edge.points = [[from.x, from.y + from.height / 2], ...edge.via.map((box) => [box.x, box.y]), [to.x, to.y - to.height / 2]];
    } else {  // back: around the right side
      const side = Math.max(from.x + from.width / 2, to.x + to.width / 2) + 30;
      edge.points = [[from.x + from.width / 2, from.y], [side, (from.y + to.y) / 2], [to.x + to.width / 2, to.y]];
    }
  }
  const left = Math.min(0, ...boxes.map((box) => box.x - box.width / 2));
  const right = Math.max(0, ...boxes.map((box) => box.x + box.width / 2));
  return {left, top: 0, width: right - left, height: Math.max(0, y - GAP_Y)};
}

// The longest way from a source; sources stand right above the first that uses them.
function ranks(count, edges) {
  const out = Array.from({length: count}, () => []);
  edges.forEach((edge, i) => out[edge.from].push(i));
  const isBack = edges.map((edge) => edge.from === edge.to);
  const state = new Uint8Array(count), sorted = [];
  for (let start = 0; start < count; ++start) {
    if (state[start]) continue;
    const stack = [[start, 0]];
    state[start] = 1;
    while (stack.length > 0) {
      const top = stack[stack.length - 1], [vertex, next] = top;
      if (next === out[vertex].length) {
        state[vertex] = 2;
        sorted.push(vertex);
        stack.pop();
        continue;
      }
      ++top[1];
      const to = edges[out[vertex][next]].to;
      if (state[to] === 1) isBack[out[vertex][next]] = true;
      else if (state[to] === 0) { state[to] = 1; stack.push([to, 0]); }
    }
  }
  sorted.reverse();
  const rank = new Int32Array(count), hasInput = new Uint8Array(count);
  for (const vertex of sorted)
    for (const i of out[vertex])
      if (!isBack[i]) {
        hasInput[edges[i].to] = 1;
        rank[edges[i].to] = Math.max(rank[edges[i].to], rank[vertex] + 1);
      }
  for (const vertex of sorted) {
    const targets = out[vertex].filter((i) => !isBack[i]).map((i) => rank[edges[i].to]);
    if (!hasInput[vertex] && targets.length > 0) rank[vertex] = Math.min(...targets) - 1;
  }
  const least = Math.min(0, ...rank);
  return {rank: Array.from(rank, (r) => r - least), isBack};
}

// Fewer crossings: each layer is sorted by the mean place of its neighbours, down and up in turn.
function order(layers) {
  for (let r = 0; r < layers.length; ++r) layers[r] ??= [];
  const number = (layer) => layer.forEach((box, i) => { box.place = i; });
  layers.forEach(number);
  for (let sweep = 0; sweep < 8; ++sweep) {
    const down = sweep % 2 === 0;
    for (let i = 1; i < layers.length; ++i) {
      const layer = layers[down ? i : layers.length - 1 - i];
      for (const box of layer) {
        const near = down ? box.up : box.down;
        box.mean = near.length ? near.reduce((sum, other) => sum + other.place, 0) / near.length : box.place;
      }
      layer.sort((a, b) => a.mean - b.mean || a.place - b.place);
      number(layer);
    }
  }
}

// x: as near to the neighbours as the order and the widths allow.
function place(layers, gap) {
  for (const layer of layers) {
    let x = 0;
    for (const box of layer) { box.x = x + box.width / 2; x += box.width + gap; }
    const middle = (x - gap) / 2;
    for (const box of layer) box.x -= middle;
  }
  for (let sweep = 0; sweep < 10; ++sweep) {
    const down = sweep % 2 === 0;
    for (let i = 0; i < layers.length; ++i) {
      const layer = layers[down ? i : layers.length - 1 - i];
      const wanted = layer.map((box) => {
        const near = down ? box.up : box.down;
        return near.length ? near.reduce((sum, other) => sum + other.x, 0) / near.length : box.x;
      });
      settle(layer, wanted, gap);
    }
  }
}

// Places in order, without overlap, of which the mean distance to those wanted is least: groups of
// boxes that push against each other move as one.
function settle(layer, wanted, gap) {
  const groups = [];
  layer.forEach((box, i) => {
    let group = {boxes: [box], offsets: [0], sum: wanted[i], weight: 1, left: box.width / 2, right: box.width / 2};
    while (groups.length > 0) {
      const last = groups[groups.length - 1];
      const shift = last.right + gap + group.left;
      if (last.sum / last.weight + shift <= group.sum / group.weight) break;
      group.boxes.forEach((member, j) => { last.boxes.push(member); last.offsets.push(group.offsets[j] + shift); });
      last.sum += group.sum - shift * group.weight;
      last.weight += group.weight;
      last.right = shift + group.right;
      group = groups.pop();
    }
    groups.push(group);
  });
  for (const group of groups) group.boxes.forEach((box, i) => { box.x = group.sum / group.weight + group.offsets[i]; });
}
