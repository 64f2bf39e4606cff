// One picture that can be stepped through and enlarged. No build step, no network.
//
// The markup comes from Python and is complete; this only connects its controls:
//   [data-chooses="step"]  a range or a select: shows the elements whose data-step is its value
//   [data-sets="cover"]    a range: sets the style variable --cover of the whole view
//   button[data-enlarge]   shows a copy of its picture, large, in the view's <dialog>
// `mstarView(root)` returns {get, set, on} so that a live widget can follow and lead.
function mstarView(root) {
  const listeners = [];
  const controls = [...root.querySelectorAll('[data-chooses]')];

  function apply(control) {
    const key = control.dataset.chooses;
    for (const part of root.querySelectorAll(`[data-${key}]`)) {
      part.toggleAttribute('hidden', part.dataset[key] !== control.value); // svg has no .hidden
    }
    const said = control.dataset.says && JSON.parse(control.dataset.says)[Number(control.value)];
    if (said) {
      control.setAttribute('aria-valuetext', said);
      const output = control.parentElement.querySelector('output');
      if (output) output.textContent = said;
    }
  }
  for (const control of controls) {
    control.addEventListener('input', () => {
      apply(control);
      listeners.forEach((tell) => tell(control.dataset.chooses, control.value));
    });
    apply(control); // a browser may restore a control's value when a page is reloaded
  }
  for (const control of root.querySelectorAll('[data-sets]')) {
    const set = () => root.style.setProperty(`--${control.dataset.sets}`, control.value / 100);
    control.addEventListener('input', set);
    set();
  }

  // JupyterLab's shortcuts else take the arrow keys; it looks for this on the element itself
  for (const control of root.querySelectorAll('input, select, button')) {
    control.setAttribute('data-lm-suppress-shortcuts', 'true');
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

  const find = (key) => controls.find((control) => control.dataset.chooses === key);
  return {
    get: (key) => find(key)?.value,
    set(key, value) {
      const control = find(key);
      if (control && control.value !== String(value)) {
        control.value = value;
        apply(control);
      }
    },
    on: (tell) => listeners.push(tell),
  };
}
