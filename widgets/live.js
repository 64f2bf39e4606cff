// The live side of a view: its state and the traits of the widget in Python follow each other.
const said = (value) =>
  Array.isArray(value) ? value.join(',') : typeof value === 'boolean' ? (value ? 'yes' : 'no')
    : String(value ?? '');

function typed(value, like, isText) {
  if (isText) return value;
  if (Array.isArray(like)) return value.split(',').filter(Boolean).map(Number);
  if (typeof like === 'boolean') return value === 'yes';
  return /^-?\d+$/.test(value) ? Number(value) : value;
}

export default {
  render({ model, el }) {
    const keys = model.get('bound');
    let view;

    function draw() {
      const held = el.contains(document.activeElement) && document.activeElement;
      const again = held && ['chooses', 'sends', 'draws'].find((name) => held.dataset[name]);
      el.innerHTML = model.get('markup');
      const root = el.querySelector('.mstar-view');
      root.dataset.kernel = '1';
      view = mstarView(root);
      for (const key of keys) view.set(key, said(model.get(key)));
      view.on((key, value) => {
        if (!keys.includes(key)) return;
        const isText = root.querySelector(`input[type=search][data-chooses="${key}"]`) !== null;
        model.set(key, typed(value, model.get(key), isText));
        model.save_changes();
      });
      view.asked((name) => model.send({ ask: name }));
      if (again) root.querySelector(`[data-${again}="${held.dataset[again]}"]`)?.focus();
    }

    const follow = keys.map((key) => [
      `change:${key}`, () => view.set(key, said(model.get(key))),
    ]);
    for (const [event, listener] of follow) model.on(event, listener);
    model.on('change:markup', draw);
    draw();
    return () => {
      for (const [event, listener] of follow) model.off(event, listener);
      model.off('change:markup', draw);
    };
  },
};
