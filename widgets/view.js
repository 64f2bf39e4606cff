// One picture whose controls work. No build step, no network.
//
// The markup comes from Python and is complete in its first state; this only connects it. A view
// has a state: what its controls say, key by key, as strings.
//   [data-chooses=KEY]            a range, select or search field that holds the value of KEY; with
//       [data-says=LIST]          the words for each of its values; [data-within=TABLES] switched
//                                 off where the first of them that has anything for the state does
//                                 not depend on it; [data-asks=NAME] asks the
//                                 kernel when Enter is pressed
//   button[data-choose=KEY][data-value]   gives KEY that value (several keys: several values)
//   button[data-toggle=KEY][data-value]   puts that value into the list that KEY holds, or out
//   [data-when="KEY:A|B OTHER:C"] shown only while every key has one of its values
//   [data-map=TABLE]              shows the cell of a sprite that the state names, in a .mv-place
//                                 where the table says that it lies
//   [data-lacks=TABLES]           shown only while none of them has anything for the state
//   [data-fill=TABLE]             says the text that the state names
//   [data-bars=TABLE]             gives its <i data-of> the lengths that the state names, the
//                                 largest full
//   [data-fixed="KEY:A"]          (with any of these three) as if KEY were A
//   [data-counts=KEY]             says how many values the list of KEY holds
//   [data-sets=NAME]              a range that sets the style variable --NAME, in percent
//   select[data-renders]          how the tokens of maps are drawn, as blocks or smooth
//   button[data-plays=KEY]        steps the range of KEY round and round
//   [data-draws=KEY]              an SVG over the image to draw tokens on; KEY is their numbers
//   button[data-sends=NAME]       asks the kernel; a view without one hides it
//   button[data-enlarge]          shows a copy of its picture, large, in the view's <dialog>, which
//                                 button[data-close] closes
//   [data-needs=kernel|page]      hidden without, or with, a kernel (see view.css)
// Tables are JSON in the view's `script[data-tables]`, see tables.py. `data-start` on the root is
// the state to begin with. `mstarView(root)` returns {set, on, asked} so that a live widget
// can follow and lead.
function mstarView(root) {
  root.dataset.live = '1'; // connected, and not to be connected again
  const all = (selector) => [...root.querySelectorAll(selector)];
  const tables = JSON.parse(root.querySelector('script[data-tables]')?.textContent ?? '{}');
  const controls = all('[data-chooses]');
  const choices = all('button[data-choose]');
  const toggles = all('button[data-toggle]');
  const changed = [];
  const asked = [];
  const state = {};

  const listed = (button) => (state[button.dataset.toggle] || '').split(',').filter(Boolean);
  const keysOf = (button) => button.dataset.choose.split(' ');

  // Which entry of a table belongs to the state, and which keys had a say.
  function entry(table, fixed) {
    const now = fixed ? { ...state, ...pairs(fixed) } : state;
    for (const block of table.blocks) {
      if (Object.entries(block.when).some(([key, values]) => !values.includes(now[key]))) continue;
      let index = 0;
      for (const [key, values] of block.by) {
        index = index * values.length + Math.max(0, values.indexOf(now[key]));
      }
      return { index: block.first + index,
        by: [...Object.keys(block.when), ...block.by.map(([key]) => key)] };
    }
    return null;
  }

  // The same of the first of several tables that has something for the state.
  function first(names) {
    return names.split(' ').reduce((found, name) => found ?? entry(tables[name]), null);
  }

  function showMap(part) {
    const table = tables[part.dataset.map];
    const found = entry(table, part.dataset.fixed);
    const place = part.closest('.mv-place');
    part.toggleAttribute('hidden', !found);
    place?.toggleAttribute('hidden', !found);
    if (!found) return;
    if (place && table.boxes) place.style.cssText = table.boxes[table.box[found.index]];
    const { columns, rows, cell, frame } = table.sprite;
    const at = [found.index % columns, Math.floor(found.index / columns)];
    const places = [[columns, cell[1]], [rows, cell[0]]].map(([count, size], axis) => {
      const step = size + 2 * frame;
      const total = count * step;
      const share = total === size ? 0 : (100 * (at[axis] * step + frame)) / (total - size);
      return [(100 * total) / size, share];
    });
    part.style.backgroundSize = `${places[0][0]}% ${places[1][0]}%`;
    part.style.backgroundPosition = `${places[0][1]}% ${places[1][1]}%`;
    part.setAttribute('aria-label', part.dataset.name + table.says[found.index]);
  }

  function showBars(part) {
    const table = tables[part.dataset.bars];
    const found = entry(table, part.dataset.fixed);
    const lengths = found ? table.says[found.index].split(' ').map(Number) : [];
    const bars = [...part.querySelectorAll('i')];
    bars.forEach((bar, i) => {
      bar.style.height = `${(100 * (lengths[i] ?? 0)) / Math.max(...lengths)}%`;
      bar.title = `${bar.dataset.of}: ${lengths[i] ?? 0}%`;
    });
    part.setAttribute('aria-label', part.dataset.name + bars.map((bar) => bar.title).join(', '));
  }

  function show() {
    for (const part of all('[data-when]')) {
      const wanted = Object.entries(pairs(part.dataset.when));
      const shown = wanted.every(([key, values]) => values.split('|').includes(state[key]));
      part.toggleAttribute('hidden', !shown); // svg has no .hidden
    }
    for (const part of all('[data-map]')) showMap(part);
    for (const part of all('[data-lacks]')) {
      part.toggleAttribute('hidden', first(part.dataset.lacks) !== null);
    }
    for (const part of all('[data-fill]')) {
      const table = tables[part.dataset.fill];
      const found = entry(table, part.dataset.fixed);
      const said = found ? table.says[found.index] : '–';
      if (part.textContent !== said) part.textContent = said;
    }
    for (const part of all('[data-counts]')) {
      part.textContent = (state[part.dataset.counts] || '').split(',').filter(Boolean).length;
    }
    for (const part of all('[data-bars]')) showBars(part);
    for (const button of choices) {
      const values = button.dataset.value.split(' ');
      const pressed = keysOf(button).every((key, i) => state[key] === values[i]);
      const inGrid = button.closest('[role=grid]') !== null; // a cell is selected, not pressed
      button.setAttribute(inGrid ? 'aria-selected' : 'aria-pressed', pressed);
      if (inGrid) button.tabIndex = pressed ? 0 : -1;
    }
    for (const button of toggles) {
      button.setAttribute('aria-pressed', listed(button).includes(button.dataset.value));
    }
    for (const control of controls) {
      if (control.dataset.within) {
        const found = first(control.dataset.within);
        control.disabled = found !== null && !found.by.includes(control.dataset.chooses);
      }
      const says = control.dataset.says && JSON.parse(control.dataset.says)[Number(control.value)];
      if (says) {
        control.setAttribute('aria-valuetext', says);
        const output = control.parentElement.querySelector('output');
        if (output) output.textContent = says;
      }
    }
    for (const drawing of drawings) drawing.show();
  }

  function choose(key, value, tell = true) {
    state[key] = value;
    show();
    if (tell) for (const listener of changed) listener(key, value);
  }

  function put(key, value) {
    for (const control of controls.filter((one) => one.dataset.chooses === key)) {
      if (control.value !== value) control.value = value;
    }
    state[key] = value;
  }

  for (const control of controls) {
    const on = control.type === 'search' ? 'change' : 'input';
    control.addEventListener(on, () => choose(control.dataset.chooses, control.value));
    state[control.dataset.chooses] = control.value; // a browser may restore it on a reload
  }
  for (const button of choices) {
    const values = button.dataset.value.split(' ');
    if (button.getAttribute('aria-pressed') === 'true') {
      keysOf(button).forEach((key, i) => { state[key] = values[i]; });
    }
    button.addEventListener('click', () => {
      keysOf(button).forEach((key, i) => choose(key, values[i]));
    });
  }
  for (const button of toggles) {
    button.addEventListener('click', () => {
      const { toggle: key, value } = button.dataset;
      const now = listed(button);
      const next = now.includes(value) ? now.filter((one) => one !== value) : [...now, value];
      choose(key, next.sort((a, b) => a - b).join(','));
    });
  }
  for (const control of all('[data-sets]')) {
    const set = () => root.style.setProperty(`--${control.dataset.sets}`, control.value / 100);
    control.addEventListener('input', set);
    set();
  }
  for (const control of all('[data-renders]')) {
    control.addEventListener('input', () => root.style.setProperty('--tokens', control.value));
  }
  for (const button of all('button[data-plays]')) {
    let timer = null;
    const range = controls.find((one) => one.dataset.chooses === button.dataset.plays);
    button.addEventListener('click', () => {
      clearInterval(timer);
      const playing = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', playing);
      if (!playing) return;
      timer = setInterval(() => {
        if (!button.isConnected) return clearInterval(timer);
        range.value = range.value === range.max ? range.min : Number(range.value) + 1;
        choose(button.dataset.plays, range.value);
      }, 900);
    });
  }
  for (const button of all('button[data-sends]')) {
    button.addEventListener('click', () => asked.forEach((ask) => ask(button.dataset.sends)));
  }
  for (const field of all('input[data-asks]')) {
    field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.isComposing) return;
      choose(field.dataset.chooses, field.value);
      asked.forEach((ask) => ask(field.dataset.asks));
    });
  }

  // The arrow keys walk through a grid of buttons.
  root.addEventListener('keydown', (event) => {
    const grid = event.target.closest('[role=grid]');
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -2, ArrowDown: 2 }[event.key];
    if (!grid || !step || event.target.tagName !== 'BUTTON') return;
    event.preventDefault();
    const row = event.target.closest('[role=row]');
    const buttons = (of) => [...of.querySelectorAll('button')];
    let next = buttons(row)[buttons(row).indexOf(event.target) + step];
    if (Math.abs(step) === 2) {
      const rows = [...grid.querySelectorAll('[role=row]')].filter((one) => buttons(one).length);
      next = rows[rows.indexOf(row) + step / 2] &&
        buttons(rows[rows.indexOf(row) + step / 2])[buttons(row).indexOf(event.target)];
    }
    next?.focus();
  });

  root.addEventListener('pointerover', (event) => {
    const cell = event.target.closest('[role=gridcell]');
    if (cell) cell.title = cell.getAttribute('aria-label');
  });

  // JupyterLab's shortcuts else take the arrow keys; it looks for this on the element itself
  for (const control of all('input, select, button, [tabindex]')) {
    control.setAttribute('data-lm-suppress-shortcuts', 'true');
  }

  // What is wider than its place says so.
  for (const wide of all('.mv-scroll')) {
    const look = () => {
      const left = wide.scrollWidth - wide.clientWidth - wide.scrollLeft;
      wide.toggleAttribute('data-more', left > 4);
    };
    wide.addEventListener('scroll', look);
    new ResizeObserver(look).observe(wide);
  }

  const dialog = root.querySelector('dialog');
  root.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-enlarge]');
    if (button && dialog) {
      const large = button.querySelector('.mv-stack').cloneNode(true);
      const scale = root.querySelector('.mv-scale').cloneNode(true);
      dialog.querySelector('.mv-stage').replaceChildren(large, scale);
      const caption = large.querySelector('.mv-map:not([hidden])').getAttribute('aria-label');
      dialog.querySelector('.mv-says').textContent = caption;
      dialog.setAttribute('aria-label', caption);
      dialog.showModal();
    } else if (event.target === dialog || event.target.closest('button[data-close]')) {
      dialog.close();
    }
  });

  const canvases = root.dataset.kernel ? all('[data-draws]') : [];
  const drawings = canvases.map((svg) =>
    mstarDrawing(svg, () => state, (key, value) => choose(key, value)));
  for (const [key, value] of Object.entries(JSON.parse(root.dataset.start ?? '{}'))) {
    put(key, value);
  }
  show();
  return {
    set(key, value) {
      if (state[key] !== value) {
        put(key, value);
        show();
      }
    },
    on: (listener) => changed.push(listener),
    asked: (listener) => asked.push(listener),
  };

  function pairs(said) {
    return Object.fromEntries(said.split(' ').map((one) => one.split(':')));
  }
}

// Draw image tokens: a rectangle or a brush with the pointer, or the arrow keys and the space bar.
function mstarDrawing(svg, state, choose) {
  svg.setAttribute('tabindex', '0');
  svg.setAttribute('data-lm-suppress-shortcuts', 'true');
  const key = svg.dataset.draws;
  const { width, height } = svg.viewBox.baseVal;
  const shapes = [...svg.querySelectorAll('[data-drawn]')];
  const cursor = svg.querySelector('[data-cursor]');
  const chosen = () => new Set((state()[key] || '').split(',').filter(Boolean).map(Number));
  let from = null; // where the pointer went down
  let last = null; // where it was at the last event
  let before = null;
  let at = [Math.floor(width / 2), Math.floor(height / 2)];

  function say(tokens) {
    const said = [...tokens].sort((a, b) => a - b).join(',');
    if (said !== (state()[key] ?? '')) choose(key, said);
  }

  function under(event) {
    const box = svg.getBoundingClientRect();
    const clamp = (value, end) => Math.min(end - 1, Math.max(0, Math.floor(value)));
    return [clamp(((event.clientX - box.left) / box.width) * width, width),
      clamp(((event.clientY - box.top) / box.height) * height, height)];
  }

  function* box([x0, y0], [x1, y1]) {
    for (let y = Math.min(y0, y1); y <= Math.max(y0, y1); y += 1) {
      for (let x = Math.min(x0, x1); x <= Math.max(x0, x1); x += 1) yield y * width + x;
    }
  }

  function* line([x0, y0], [x1, y1]) {
    const steps = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0), 1);
    for (let i = 0; i <= steps; i += 1) {
      const [x, y] = [x0 + ((x1 - x0) * i) / steps, y0 + ((y1 - y0) * i) / steps];
      yield Math.round(y) * width + Math.round(x);
    }
  }

  function paint(to) {
    const tokens = new Set(before);
    const { tool } = state();
    for (const token of tool === 'rectangle' ? box(from, to) : line(last, to)) {
      if (tool === 'eraser') tokens.delete(token);
      else tokens.add(token);
    }
    if (tool !== 'rectangle') before = tokens;
    last = to;
    say(tokens);
  }

  svg.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    svg.setPointerCapture(event.pointerId);
    from = last = under(event);
    before = chosen();
    paint(from);
    event.preventDefault();
    svg.focus();
  });
  svg.addEventListener('pointermove', (event) => from && paint(under(event)));
  svg.addEventListener('lostpointercapture', () => { from = null; });
  svg.addEventListener('keydown', (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (move[event.key]) {
      at = [Math.min(width - 1, Math.max(0, at[0] + move[event.key][0])),
        Math.min(height - 1, Math.max(0, at[1] + move[event.key][1]))];
    } else if (event.key === ' ') {
      const tokens = chosen();
      const token = at[1] * width + at[0];
      if (!tokens.delete(token)) tokens.add(token);
      say(tokens);
    } else return;
    event.preventDefault();
    show();
    const held = chosen().has(at[1] * width + at[0]) ? 'drawn' : 'not drawn';
    svg.setAttribute('aria-valuetext', `column ${at[0] + 1}, row ${at[1] + 1}, ${held}`);
  });

  function show() {
    const boxes = [...chosen()].map((t) => `M${t % width} ${Math.floor(t / width)}h1v1h-1z`);
    for (const shape of shapes) shape.setAttribute('d', boxes.join(''));
    cursor.setAttribute('x', at[0]);
    cursor.setAttribute('y', at[1]);
  }
  return { show };
}

// Where the page has plotly: the figures of `script[data-plot]`, each before its still twin, and as
// many panels beside each other as there is room for.
function mstarPlots(root) {
  for (const told of root.querySelectorAll('script[data-plot]')) {
    const { data, layout } = JSON.parse(told.textContent);
    const panels = Object.keys(layout).filter((key) => key.startsWith('xaxis')).length;
    if (!window.Plotly || !panels) continue;
    const box = document.createElement('div');
    box.className = 'mv-plot';
    told.parentElement.prepend(box);
    const margins = layout.margin.t + layout.margin.b;
    const { grid, height, legend } = layout;
    const high = (rows) => ((height - margins) * (rows - grid.ygap)) / (grid.rows - grid.ygap);
    const placed = () => {
      const columns = Math.max(1, Math.min(grid.columns, Math.floor(box.clientWidth / 300)));
      const rows = Math.ceil(panels / columns);
      const y = 1 + ((legend.y - 1) * high(grid.rows)) / high(rows); // as many pixels above
      return {
        grid: { ...grid, rows, columns },
        height: high(rows) + margins,
        legend: { ...legend, y },
      };
    };
    // by default there is a button that uploads the figure
    const config = { displaylogo: false, showSendToCloud: false, typesetMath: false };
    window.Plotly.newPlot(box, data, { ...layout, ...placed() }, config);
    for (const svg of box.querySelectorAll('.main-svg')) svg.ariaHidden = 'true'; // the twin says it
    new ResizeObserver(() => {
      window.Plotly.relayout(box, { ...placed(), width: box.clientWidth });
    }).observe(box);
  }
}
