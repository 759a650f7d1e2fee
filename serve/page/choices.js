// Which model and which policy: filled from what the server says it has.

import { models } from "./api.js";

const fieldsets = [...document.querySelectorAll(".choices fieldset")];
const compare = document.querySelector("#compare");
let known = [];

const field = (fieldset, name) => fieldset.querySelector(`select[name=${name}]`);
const policiesOf = (model) => model?.self_correction?.policies ?? [];

export async function loadChoices() {
  known = await models();
  fieldsets.forEach((fieldset) => {
    fill(field(fieldset, "model"), known.map((model) => model.id));
    offerPolicies(fieldset);
  });
  differ();
}

// One choice for each answer that is wanted: { model, policy }.
export function chosen() {
  return (compare.checked ? fieldsets : fieldsets.slice(0, 1)).map((fieldset) => ({
    model: modelOf(fieldset),
    policy: field(fieldset, "policy").value || null,
  }));
}

fieldsets.forEach((fieldset) => field(fieldset, "model").addEventListener("change", () => offerPolicies(fieldset)));
compare.addEventListener("change", () => { fieldsets[1].hidden = !compare.checked; });

function modelOf(fieldset) {
  return known.find((model) => model.id === field(fieldset, "model").value);
}

function offerPolicies(fieldset) {
  const model = modelOf(fieldset);
  const select = field(fieldset, "policy");
  fill(select, policiesOf(model), model?.self_correction?.default ?? select.value);
  select.closest("label").hidden = !policiesOf(model).length;
}

// The second answer begins as something else than the first: without correction, or by another model.
function differ() {
  const [first, second] = fieldsets;
  const policy = policiesOf(known[0]).find((name) => name !== field(first, "policy").value);
  if (policy) field(second, "policy").value = policy;
  else if (known[1]) field(second, "model").value = known[1].id;
}

function fill(select, values, wanted) {
  select.replaceChildren(...values.map((value) => new Option(value, value)));
  if (values.includes(wanted)) select.value = wanted;
}
