"use strict";
// The counter's page: shows what the terminal sends, and sends what the staff ask. It keeps nothing.
const words = JSON.parse(document.getElementById("words").textContent);
const text = (english) => words[english] || english;
const at = (id) => document.getElementById(id);
const make = (tag, content) => Object.assign(document.createElement(tag), { textContent: content });

function button(content, touched) {
  const made = Object.assign(make("button", content), { type: "button" });
  made.addEventListener("click", touched);
  return made;
}

const OUTCOMES = {
  served: ["Served", "✔", [[880, .12]]],
  already_served: ["Already served", "↻", [[440, .15], [440, .15]]],
  unknown_card: ["Card not recognised", "?", [[330, .2], [330, .2]]],
  blocked: ["Card blocked", "✖", [[220, .5]]],
  do_not_serve: ["Do not serve", "✖", [[220, .5]]],
  no_service: ["No service now", "✖", [[220, .5]]],
  repeat: ["Hold the card again", "…", [[330, .1], [330, .1], [330, .1]]],
  out_of_order: ["Out of order", "■", [[180, .8]]],
  gone: ["The terminal is starting…", "…", []],
};
const IDLE_MS = 300_000;    // a screen left alone shows no names
const CREDIT_MS = 8_000;
const ARMED_MS = 4_000;     // a second touch undoes
const FINGER_MS = 400;      // two touches of a finger nearer than this are one
const SHOWN_MS = 6_000;
const SAID_MS = 30_000;     // an answer may have a name
const FAULTS = {
  reader: "A card reader does not work. Check its cable.",
  clock: "The clock may be wrong. Meals are recorded all the same.",
  disk: "The disk is nearly full. Meals are still recorded.",
  file: "No meal can be recorded. Write the names on paper.",
  mirror: "The second copy of the meals is not written. Meals are recorded all the same.",
  not_booked: "The central does not book the meals. They are kept here.",
  link: "The broker refuses this terminal. Meals are kept here.",
  wiped: "The town has closed this terminal. Nobody is served.",
  certificate: "The link to the central will fail soon. Meals are recorded all the same.",
};
const FAULT_MS = 60_000;    // a fault that lasts so long is shown with whom to call
const TIMER_MS_MAX = 2 ** 31 - 2;  // a browser takes a longer time as none
const TAPS_SHOWN = 6;
const SLEPT_MS = 5_000;     // a page that stood still for so long shows nothing that is over

let taps = [];
let idle = 0;
let shown = 0;
let said = 0;
let audio = null;
let expiry = 0;             // when the first undo window ends
let isBroken = false;       // out of order
let refusal = "";           // why the terminal does not let this page watch
let lasting = 0;
let armed = null;           // the undo button that waits for its second touch
let arming = 0;
let lifting = 0;            // of the finger that armed it
let today = "";             // as the terminal knows it
let stream = null;
let beat = 0;

function clock(instant) {
  return new Date(instant).toLocaleTimeString(document.documentElement.lang,
    { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: document.body.dataset.zone });
}

function who(tap) {
  return [tap.label, tap.group].filter(Boolean).join(" · ") || (tap.seq ? `n. ${tap.seq}` : "");
}

try { audio = new AudioContext(); } catch (error) { /* shape, word and colour remain */ }
for (const touch of ["pointerdown", "keydown"]) addEventListener(touch, () => audio && audio.resume());

function sound(tones) {
  if (!audio || audio.state !== "running") return;  // later it would sound for children long gone
  let start = audio.currentTime;
  for (const [hertz, seconds] of tones) {
    const tone = audio.createOscillator();
    tone.frequency.value = hertz;
    tone.connect(audio.destination);
    tone.start(start);
    tone.stop(start + seconds);
    start += seconds + .06;
  }
}

function show(tap) {
  const [word, shape, tones] = OUTCOMES[tap.word];
  const again = tap.again_at ? ` (${text("at")}\u00a0${clock(tap.again_at)})` : "";
  at("outcome").dataset.word = tap.word;
  at("shape").textContent = shape;
  at("word").textContent = text(word) + again;
  at("who").textContent = who(tap);
  at("dish").textContent = tap.dish || "";
  sound(tones);
  clearTimeout(shown);
  shown = setTimeout(ready, SHOWN_MS);
  wake();
}

// What is seen between two taps: ready, or why nobody can be served.
function ready() {
  clearTimeout(shown);
  const word = document.body.dataset.state !== "serving" ? "gone" : isBroken ? "out_of_order" : "";
  const [name, shape] = OUTCOMES[word] || ["Ready", ""];
  at("outcome").dataset.word = word;
  at("shape").textContent = shape;
  at("word").textContent = word === "gone" && refusal || text(name);
  at("who").textContent = at("dish").textContent = "";
}

function wake() {
  clearTimeout(idle);
  idle = setTimeout(() => { taps = []; list(); ready(); say(""); openView("home"); }, IDLE_MS);
}

function list() {
  if (armed) return;  // the queue goes on, but no line moves between two touches
  const focused = document.activeElement.closest("#taps li");
  at("taps").replaceChildren(...taps.slice(0, TAPS_SHOWN).map(tapLine));
  fit();
  if (focused) undoOf(focused.dataset)?.focus();
  const ends = taps.map((tap) => new Date(tap.undo_until || 0) - Date.now()).filter((ms) => ms > 0);
  clearTimeout(expiry);
  if (ends.length) expiry = setTimeout(list, Math.min(...ends, TIMER_MS_MAX) + 1);
}

// A line that would be cut is not shown.
function fit() {
  for (const line of at("taps").children) line.hidden = false;
  const room = at("taps").clientHeight + 1;
  for (const line of at("taps").children) line.hidden = line.offsetTop + line.offsetHeight > room;
}

function tapLine(tap) {
  const line = make("li", "");
  Object.assign(line.dataset, { epoch: tap.epoch, seq: tap.seq, undone: Boolean(tap.undone) });
  const label = make("span", `${clock(tap.at)} ${text(OUTCOMES[tap.word][0])} `);
  label.append(make("b", who(tap)));
  line.append(label);
  if (tap.undone) line.append(make("em", text("undone")));
  else if (tap.undo_until && new Date(tap.undo_until) > Date.now()) line.append(undoButton(tap));
  return line;
}

function undoOf(tap) {
  return at("taps").querySelector(`li[data-epoch="${tap.epoch}"][data-seq="${tap.seq}"]:not([hidden]) button`);
}

function undoButton(tap) {
  return button(text("Undo"), async (event) => {
    const touched = event.currentTarget;
    if (armed !== touched) { arm(touched, `${text("Undo")} ${who(tap)}?`, event.detail > 0); return; }
    if (touched.ariaDisabled === "true") return;
    clearTimeout(arming);
    touched.disabled = true;  // a third touch asks nothing
    const answer = await ask("storno", { epoch: tap.epoch, seq: tap.seq });
    say(answer.error || `${text("Undone")}: ${who(tap)}`);
    if (armed === touched) disarm();
  });
}

function arm(button, question, byFinger) {
  if (armed) { armed.textContent = text("Undo"); armed.parentNode.dataset.armed = ""; armed.ariaDisabled = "false"; }
  armed = button;
  button.parentNode.dataset.armed = "true";
  button.textContent = question;
  clearTimeout(arming);
  arming = setTimeout(disarm, ARMED_MS);
  button.ariaDisabled = String(byFinger);
  clearTimeout(lifting);
  lifting = setTimeout(() => { button.ariaDisabled = "false"; }, FINGER_MS);
  legend();
}

function disarm() {
  clearTimeout(arming);
  armed = null;
  list();
  legend();
}

function take(tap, isNews) {
  const known = taps.findIndex((other) => other.epoch === tap.epoch && other.seq === tap.seq);
  if (known >= 0) taps[known] = tap;
  else { taps.unshift(tap); if (isNews) show(tap); }
  taps.length = Math.min(taps.length, 20);
  list();
}

function pairs(id, values) {
  at(id).replaceChildren(...Object.entries(values).map(([name, count]) => {
    const pair = make("div", "");
    pair.append(make("dt", name), make("dd", count));
    return pair;
  }));
}

function count(counters) {
  at("total").textContent = counters.total;
  const isToday = !counters.day || counters.day === today;
  at("service").textContent = [counters.name || counters.service, isToday ? "" : inWords(counters.day)].filter(Boolean).join(", ");
  pairs("classes", counters.classes);
  pairs("dishes", counters.dishes);
}

function tell(condition) {
  const parts = [];
  if (condition.data_age_min) parts.push(`${text("Data of")} ${condition.data_age_min} min`);
  if (!condition.out_of_order && (condition.data_age_min ?? null) === null)
    parts.push(text("No answer of the central yet"));
  if (condition.pending) parts.push(`${text("Entries waiting")}: ${condition.pending}`);
  if (condition.serve_all_until) parts.push(`${text("All are served until")} ${clock(condition.serve_all_until)}`);
  const now = new Date(condition.at);
  const faults = (condition.faults || []).filter((fault) => fault.code === "file" || now - new Date(fault.since) >= FAULT_MS);
  if (condition.out_of_order || faults.length) parts.unshift(text("Attention: see below"));
  if (!parts.length) parts.push(text("All is well"));
  if (condition.needs_staff_card)
    parts.push(condition.unlocked_until
      ? `${text("Unlocked until")} ${clock(condition.unlocked_until)}` : text("Corrections need a staff card"));
  at("condition").textContent = parts.join(" · ");
  today = condition.day || "";
  at("set-day").hidden = condition.clock !== "unset";
  const wasBroken = isBroken;
  isBroken = Boolean(condition.out_of_order);
  const lines = faults.map((fault) => ({
    sentence: `${text(FAULTS[fault.code])} (${text("since")} ${clock(fault.since)})`, detail: fault.words,
  }));
  showFaults(lines);
  const wasServing = document.body.dataset.state === "serving";
  document.body.dataset.state = "serving";
  clearTimeout(lasting);
  if (isBroken && !wasBroken) sound(OUTCOMES.out_of_order[2]);
  if (isBroken !== wasBroken || !wasServing) ready();
}

// A sentence for the staff, the terminal's own words for the technician, and whom to call.
function showFaults(lines) {
  const shown = at("faults"), help = shown.dataset.help;
  const parts = lines.flatMap(({ sentence, detail }) => [
    make("p", sentence), ...(detail ? [Object.assign(make("small", detail), { lang: "en" })] : []),
  ]);
  if (lines.length && help) parts.push(make("p", help));
  if (shown.textContent !== parts.map((part) => part.textContent).join("")) shown.replaceChildren(...parts);
}

function gone() {
  if (document.body.dataset.state === "gone") return;
  document.body.dataset.state = "gone";
  showFaults([]);
  at("condition").textContent = text("The terminal is starting…");
  disarm();
  ready();
  const since = Date.now();
  lasting = setTimeout(() => {
    showFaults([{ sentence: `${text("The terminal does not answer since")} ${clock(since)}` }]);
  }, FAULT_MS);
}

async function ask(what, values) {
  try {
    const reply = await fetch(`/ask/${what}`, { method: "POST", body: JSON.stringify(values) });
    const answer = await reply.json();
    if (answer.locked) return { error: text("First hold a staff card to the reader. It unlocks for 3 minutes.") };
    return answer.unavailable ? { error: text("The terminal is starting…") } : answer;
  } catch (error) {
    return { error: text("The screen does not answer; wait a moment.") };
  }
}

function say(sentence) {
  at("answer").textContent = sentence;
  clearTimeout(said);
  said = setTimeout(say, SAID_MS, "");
}

function takeLine(line) {
  if (line.kind === "snapshot") {
    refusal = "";
    taps = line.taps.slice().reverse();
    list();
    count(line.counters);
    tell(line.condition);
    wake();
  } else if (line.kind === "tapped") take(line.tap, !line.tap.undone);
  else if (line.kind === "counted") count(line.counters);
  else if (line.kind === "changed") tell(line.condition);
  else { refusal = line.error || ""; gone(); ready(); }
}

// A browser that slept begins with a snapshot: what waited for it is over, and must not be painted.
function slept() { return Date.now() - beat > SLEPT_MS; }

function openStream() {
  if (stream) stream.close();
  beat = Date.now();
  const opened = stream = new EventSource("/events");
  opened.addEventListener("gone", gone);
  opened.addEventListener("error", gone);
  opened.addEventListener("message", (event) => {
    if (opened !== stream) return;
    if (slept()) openStream();
    else takeLine(JSON.parse(event.data));
  });
}
