"use strict";
const $ = (id) => document.getElementById(id);
let image = null; // {id, width, height, …} of the image that is shown
let wanted = null, asking = false; // options that have still to be sent; whether others are on their way

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

async function ask(path, request) {
  let answer;
  try { answer = await fetch(path, request); } catch { throw new Error("the server does not answer"); }
  const told = await answer.json().catch(() => ({ error: `the server answers ${answer.status}` }));
  if (!answer.ok) throw new Error(told.error);
  return told;
}

// --- options

function makeSliders(sliders) {
  for (const slider of sliders) {
    const row = document.createElement("div"), top = document.createElement("div");
    const name = document.createElement("label"), value = document.createElement("output");
    const line = Object.assign(document.createElement("input"), {
      type: "range", id: slider.name, min: slider.low, max: slider.high, step: slider.step, value: slider.when_on,
    });
    row.className = "option";
    row.title = slider.help;
    Object.assign(name, { htmlFor: slider.name, textContent: slider.label });
    top.append(name, value);
    row.append(top, line);
    if (slider.may_be_off) {
      const on = Object.assign(document.createElement("input"), { type: "checkbox", id: `${slider.name}-on` });
      on.setAttribute("aria-label", `${slider.label}: on`);
      name.prepend(on, " ");
      on.addEventListener("input", moved);
    }
    line.addEventListener("input", moved);
    $("sliders").append(row);
    slider.line = line;
    slider.output = value;
  }
  setSliders(Object.fromEntries(sliders.map((slider) => [slider.name, slider.value])));
}

const switchOf = (slider) => $(`${slider.name}-on`);

function valueOf(slider) {
  if (!(switchOf(slider)?.checked ?? true)) return null;
  const [shown, exact] = slider.set ?? []; // a value between two steps stays what it is until the slider is moved
  return slider.line.value === shown ? exact : Number(slider.line.value);
}

function showValues() {
  for (const slider of window.sliders) {
    const value = valueOf(slider);
    slider.output.textContent = value === null ? "off" : String(value);
    slider.line.disabled = value === null;
  }
}

function setSliders(options) {
  for (const slider of window.sliders) {
    const value = options[slider.name];
    if (switchOf(slider)) switchOf(slider).checked = value !== null;
    if (value === null) continue;
    slider.line.value = value;
    slider.set = [slider.line.value, value];
  }
  showValues();
}

function moved() {
  showValues();
  wanted = Object.fromEntries(window.sliders.map((slider) => [slider.name, valueOf(slider)]));
  if (image && !asking) label();
}

async function label() { // one request at a time: while one is on its way, only the newest options wait
  asking = true;
  while (wanted && image) {
    const body = JSON.stringify(wanted), of = image, began = performance.now();
    wanted = null;
    try {
      const told = await ask(`images/${of.id}/labels`, { method: "POST", body });
      await showOutlines(of);
      if (of === image) say(`${told.objects} objects, ${Math.round(performance.now() - began)} ms`);
    } catch (error) { say(error.message, true); }
  }
  asking = false;
}

// --- image

async function showOutlines(of) {
  const answer = await fetch(`images/${of.id}/outlines.png`);
  if (!answer.ok) throw new Error("the outlines could not be drawn");
  const next = URL.createObjectURL(await answer.blob());
  if (of !== image) return URL.revokeObjectURL(next);
  URL.revokeObjectURL($("outlines").src);
  $("outlines").src = next;
}

async function open(file) {
  if (document.body.classList.contains("busy")) return;
  if (file.size > window.limits.max_upload * 1e6) {
    return say(`${file.name}: larger than ${window.limits.max_upload} MB`, true);
  }
  document.body.classList.add("busy");
  say(`Segmenting ${file.name} …`);
  const query = new URLSearchParams({ name: file.name });
  for (const name of ["channel", "z", "time"]) if ($(name).value.trim()) query.set(name, $(name).value.trim());
  const began = performance.now();
  try {
    const told = await ask(`images?${query}`, { method: "POST", body: file });
    image = told;
    wanted = null;
    setSliders(told.options);
    $("outlines").removeAttribute("src");
    $("image").src = `images/${told.id}/image.png`;
    fit();
    await showOutlines(told);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    say([`${told.objects} objects in ${file.name}, ${seconds} s.`, ...told.notes].join(" "));
    for (const link of $("downloads").children) link.href = `images/${told.id}/download/${link.dataset.kind}`;
    $("reset").disabled = $("tools").hidden = false;
  } catch (error) { say(error.message, true); }
  document.body.classList.remove("busy");
}

function fit() {
  if (!image) return;
  const stage = $("stage");
  const scale = Math.min(stage.clientWidth / image.width, stage.clientHeight / image.height) * Number($("zoom").value);
  $("view").style.width = `${image.width * scale}px`;
  $("view").style.height = `${image.height * scale}px`;
}

// --- what people do

$("file").addEventListener("change", () => { if ($("file").files[0]) open($("file").files[0]); $("file").value = ""; });
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
addEventListener("dragleave", () => document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
});
addEventListener("resize", fit);
$("zoom").addEventListener("input", fit);
$("shown").addEventListener("input", () => { $("outlines").hidden = !$("shown").checked; });
$("reset").addEventListener("click", () => {
  setSliders(Object.fromEntries(window.sliders.map((slider) => [slider.name, slider.value])));
  moved();
});
$("sliders").addEventListener("submit", (event) => event.preventDefault());

ask("options").then((told) => {
  Object.assign(window, { sliders: told.sliders, limits: told.limits });
  $("limits").textContent = `up to ${told.limits.max_upload} MB, ${told.limits.max_megapixels} megapixels`;
  for (const [kind, help] of Object.entries(told.downloads)) {
    const link = Object.assign(document.createElement("a"), { textContent: `${kind} ` });
    link.append(Object.assign(document.createElement("small"), { textContent: help }));
    link.dataset.kind = kind;
    $("downloads").append(link);
  }
  makeSliders(told.sliders);
}).catch((error) => say(error.message, true));
