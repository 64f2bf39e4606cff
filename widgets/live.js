// The live side of a view: its state and the traits of the widget in Python follow each other.
const said = (value) => (Array.isArray(value) ? value.join(',') : String(value ?? ''));

function typed(value, like, isText) {
  if (isText) return value;
  if (Array.isArray(like)) return value.split(',').filter(Boolean).map(Number);
  return /^-?\d+$/.test(value) ? Number(value) : value;
}

// Finds a control again in the next drawing of the view.
function selector(control) {
  const names = ['chooses', 'choose', 'toggle', 'sends', 'draws', 'sets', 'plays'];
  const name = names.find((one) => control.dataset[one]);
  if (!name) return null;
  const value = control.dataset.value ? `[data-value="${control.dataset.value}"]` : '';
  return `[data-${name}="${control.dataset[name]}"]${value}`;
}

export default {
  render({ model, el }) {
    const keys = model.get('bound');
    const hidden = document.createElement('style'); // the still picture, as long as this is there
    const still = `[data-still="${model.get('still')}"]`;
    hidden.textContent = `${still}, .jp-OutputArea-child:has(${still}) { display: none }`;
    let view;
    let held = false; // a pointer is down in the view
    let late = false; // there is something new to draw

    // The picture follows at once, the kernel when the hand rests: JupyterLab is slow to answer
    // every key of a held arrow.
    let saving = null;
    function save() {
      if (saving === null) return;
      clearTimeout(saving);
      saving = null;
      model.save_changes();
    }

    // Replacing the view under a hand, or under an open dialog, would tear it away.
    function drawWhenFree() {
      late = true;
      if (!held && !el.querySelector('dialog[open]')) draw();
    }

    function draw() {
      late = false;
      const focused = el.contains(document.activeElement) && selector(document.activeElement);
      const strengths = [...el.querySelectorAll('[data-sets]')].map((control) => control.value);
      el.innerHTML = model.get('markup');
      el.prepend(hidden);
      const root = el.querySelector('.mstar-view');
      root.dataset.kernel = '1';
      root.querySelectorAll('[data-sets]').forEach((control, i) => {
        if (strengths[i]) control.value = strengths[i];
      });
      view = mstarView(root);
      for (const key of keys) view.set(key, said(model.get(key)));
      view.on((key, value) => {
        if (!keys.includes(key)) return;
        const isText = root.querySelector(`input[type=search][data-chooses="${key}"]`) !== null;
        model.set(key, typed(value, model.get(key), isText));
        clearTimeout(saving);
        saving = setTimeout(save, 120);
      });
      view.asked((name) => {
        save();
        model.send({ ask: name });
      });
      if (focused) root.querySelector(focused)?.focus();
    }

    const down = () => { held = true; };
    const up = () => setTimeout(() => { // after the click that may follow
      held = false;
      if (late) drawWhenFree();
    });

    const follow = keys.map((key) => [
      `change:${key}`, () => view.set(key, said(model.get(key))),
    ]);
    for (const [event, listener] of follow) model.on(event, listener);
    model.on('change:markup', drawWhenFree);
    el.addEventListener('pointerdown', down);
    for (const name of ['pointerup', 'pointercancel']) window.addEventListener(name, up);
    el.addEventListener('close', up, true); // of the dialog
    draw();
    return () => {
      save();
      for (const name of ['pointerup', 'pointercancel']) window.removeEventListener(name, up);
      for (const [event, listener] of follow) model.off(event, listener);
      model.off('change:markup', drawWhenFree);
    };
  },
};
