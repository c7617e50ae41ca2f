"use strict";

const element = (id) => document.getElementById(id);
let questions = [];
let galaxies = [];
let waiting = [];   // places of the galaxies to label, the current one first
let finished = [];  // places that were labelled here, the last one last
let given = [];     // [question, answer] about the current galaxy, in the order of the answers
let busy = false;

function labeller() {
  return element("labeller").value.trim();
}

/** Return the first question that the answers so far lead to and that has none yet. */
function nextQuestion() {
  const answered = new Map(given.map(([question, answer]) => [question.name, `${question.name}_${answer}`]));
  const led = new Set(answered.values());
  return questions.find((question) => !answered.has(question.name) && (!question.after || led.has(question.after)));
}

function button(text, key, act) {
  const made = document.createElement("button");
  made.type = "button";
  const cap = document.createElement("kbd");
  cap.textContent = key;
  made.append(cap, text);
  made.addEventListener("click", act);
  return made;
}

function show() {
  const done = galaxies.filter((galaxy) => galaxy.labelled).length;
  element("count").textContent = `${done} of ${galaxies.length} labelled`;
  element("progress").value = done;
  element("progress").max = galaxies.length;
  const place = waiting[0];
  element("undo").disabled = given.length === 0 && finished.length === 0;
  element("skip").disabled = waiting.length < 2;
  element("given").textContent = given.map(([question, answer]) => `${question.name.replaceAll("_", " ")}: ${answer}`).join(" · ");
  element("answers").replaceChildren();
  if (place === undefined) {
    element("question").textContent = "All done. Run the workflow again: it trains with your labels.";
    element("stamp").removeAttribute("src");
    element("stamp").alt = "";
    element("caption").textContent = "";
    return;
  }
  const galaxy = galaxies[place];
  const source = `stamp/${place}.png`;
  if (element("stamp").getAttribute("src") !== source) {
    element("stamp").src = source;
  }
  element("stamp").alt = `galaxy ${galaxy.source_id} in colour`;
  const position = galaxy.ra === null ? "" : `, ${galaxy.ra.toFixed(5)} ${galaxy.dec.toFixed(5)}`;
  const width = galaxy.width === null ? "" : `, ${galaxy.width}″ wide`;
  element("caption").textContent = `${galaxy.source_id}${position}${width}; chosen for ${galaxy.reason.replaceAll("_", " ")}`;
  const question = nextQuestion();
  element("question").textContent = question.text;
  question.answers.forEach((answer, number) => {
    element("answers").append(button(answer.replaceAll("_", " "), number + 1, () => reply(question, answer)));
  });
}

function say(text) {
  element("message").textContent = text;
}

async function ask(url, options) {
  const response = await fetch(url, options);
  const content = await response.json();
  if (!response.ok) {
    throw new Error(content.error);
  }
  return content;
}

/** Send something and, once the server has it, change what is shown. */
async function send(url, content, change) {
  busy = true;
  say("");
  try {
    const body = JSON.stringify({labeller: labeller(), ...content});
    await ask(url, {method: "POST", headers: {"Content-Type": "application/json"}, body});
    change();
  } catch (error) {
    say(`Not saved: ${error.message}`);
  }
  busy = false;
  show();
}

async function reply(question, answer) {
  if (busy) {
    return;
  }
  if (!labeller()) {
    say("Say who you are first.");
    element("labeller").focus();
    return;
  }
  given.push([question, answer]);
  if (nextQuestion()) {
    show();
    return;
  }
  const place = waiting[0];
  const answers = Object.fromEntries(given.map(([asked, chosen]) => [asked.name, chosen]));
  // If it cannot be saved, the last question is asked again.
  given.pop();
  await send("vote", {place, answers}, () => {
    galaxies[place].labelled = true;
    finished.push(place);
    waiting.shift();
    given = [];
  });
}

async function undo() {
  if (busy) {
    return;
  }
  if (given.length > 0) {
    given.pop();
    show();
  } else if (finished.length > 0) {
    const place = finished[finished.length - 1];
    await send("withdraw", {place}, () => {
      galaxies[place].labelled = false;
      finished.pop();
      waiting.unshift(place);
    });
  }
}

function skip() {
  if (!busy && waiting.length > 1) {
    waiting.push(waiting.shift());
    given = [];
    say("");
    show();
  }
}

function brighten() {
  const bright = element("stamp").classList.toggle("bright");
  element("bright").setAttribute("aria-pressed", String(bright));
}

async function load() {
  if (!labeller()) {
    element("question").textContent = "Who are you? Your name is kept with your labels.";
    element("labeller").focus();
    return;
  }
  try {
    const overview = await ask(`overview?labeller=${encodeURIComponent(labeller())}`);
    ({questions, galaxies} = overview);
    waiting = galaxies.map((_, place) => place).filter((place) => !galaxies[place].labelled);
    finished = [];
    given = [];
    say("");
    show();
  } catch (error) {
    say(error.message);
  }
}

element("undo").addEventListener("click", undo);
element("skip").addEventListener("click", skip);
element("bright").addEventListener("click", brighten);
element("labeller").addEventListener("change", () => {
  localStorage.setItem("labeller", labeller());
  load();
});
element("labeller").addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    element("labeller").blur();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.target === element("labeller") || event.ctrlKey || event.metaKey || event.altKey || event.repeat) {
    return;
  }
  const choice = element("answers").children[Number(event.key) - 1];
  if (/^[1-9]$/.test(event.key) && choice) {
    choice.click();
  } else if (event.key === "u" || event.key === "Backspace") {
    undo();
  } else if (event.key === "s") {
    skip();
  } else if (event.key === "b") {
    brighten();
  }
});

element("labeller").value = localStorage.getItem("labeller") ?? "";
load();
