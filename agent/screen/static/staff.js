"use strict";
// What the staff do: by touch, with a numeric keypad alone, or with a keyboard alone.
const BUFFER_MS = 1_500;    // digits of one number follow one another within this time
const LETTERS = "1234567890QWERTYUIOPASDFGHJKL⌫ZXCVBNM'-␣";
const DIGITS = "12345⌫67890";
const PADS = { child: LETTERS, closing: DIGITS, today: DIGITS };
const FIELDS = { child: "search", closing: "trays", today: "day" };
let view = "home";
let group = "";             // the class that is open
let daysBack = 0;           // a paper list is of a day before today
let confirmed = "";         // the day that was shown in words
let digits = "";
let digitsAt = 0;
let credits = 0;
let searching = Promise.resolve();

function openView(next) {
  view = document.body.dataset.view = next;
  group = confirmed = digits = "";
  daysBack = 0;
  for (const panel of document.querySelectorAll(".panel")) panel.hidden = panel.id !== next;
  for (const opener of document.querySelectorAll("nav [data-open]"))
    opener.setAttribute("aria-current", opener.dataset.open === next);
  for (const field of Object.values(FIELDS)) at(field).value = "";
  at("day-words").textContent = text("Show the day");
  showEaters([]);
  const keys = PADS[next] || "";
  at("pad").hidden = !keys;
  at("pad").dataset.keys = keys === DIGITS ? "digits" : "letters";
  at("pad").replaceChildren(...[...keys].map((key) => padKey(key, at(FIELDS[next]))));
  if (FIELDS[next]) at(FIELDS[next]).focus();
  else document.activeElement.blur();
  if (next === "group") openGroups();
  list();
  legend();
}

function padKey(key, field) {
  const made = button(key, () => {
    field.value = key === "⌫" ? field.value.slice(0, -1) : (field.value + (key === "␣" ? " " : key)).slice(0, field.maxLength);
    field.dispatchEvent(new Event("input"));
  });
  if (key === "⌫") made.setAttribute("aria-label", text("Delete"));
  if (key === "␣") made.setAttribute("aria-label", text("Space"));
  made.tabIndex = -1;  // a keyboard writes by itself
  return made;
}

function legend() {
  const listed = `1–9 ${text("line")} · − + ${text("up and down")} · Enter ${text("serve")} · * ${text("credit")} · . ${text("back")}`;
  at("legend").textContent = {
    home: armed ? `− + ${text("another line")} · Enter ${text("confirm")} · . ${text("leave it")}` : "",
    child: `Enter ${text("list")} · / ${text("search again")} · ${listed}`,
    group: group ? listed : `1–9 ${text("class")} · − + ${text("up and down")} · Enter ${text("open")} · . ${text("back")}`,
    closing: `0–9 · Enter ${text("close")} · . ${text("back")}`,
    today: `0–9 · Enter ${text("confirm")} · . ${text("back")}`,
  }[view];
}

function dayOf(back) {
  const day = new Date(`${today}T12:00:00Z`);
  day.setUTCDate(day.getUTCDate() - back);
  return day.toISOString().slice(0, 10);
}

function inWords(day) {
  const options = { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" };
  return new Date(`${day}T12:00:00Z`).toLocaleDateString(document.documentElement.lang, options);
}

function eater(child, number) {
  const line = make("li", "");
  const name = [child.label, child.group, child.label ? "" : child.account].filter(Boolean).join(" · ");
  const day = daysBack ? dayOf(daysBack) : "";
  const serve = button(text("Serve"), async () => {
    if (serve.ariaDisabled === "true") return;
    serve.ariaDisabled = "true";
    const answer = await ask("meal", { account: child.account, ...(day ? { day } : {}) });
    if (answer.error) serve.ariaDisabled = "false";
    say(answer.error || `${text("Served")}: ${name}${day ? ` (${day})` : ""}`);
  });
  serve.ariaDisabled = String(Boolean(child.eaten));
  serve.ariaLabel = `${text("Serve")} ${name}`;
  const credit = button(text("Credit"), async () => {
    const answer = await ask("credit", { account: child.account });
    say(answer.error || `${name}: ${(answer.cents / 100).toLocaleString(document.documentElement.lang, { style: "currency", currency: "EUR" })}`);
    clearTimeout(credits);
    credits = setTimeout(say, CREDIT_MS, "");
  });
  credit.ariaLabel = `${text("Credit")} ${name}`;
  line.append(make("kbd", number), make("span", name), serve, credit);
  return line;
}

function showEaters(children) {
  at("eaters").hidden = !children.length;
  at("eaters").replaceChildren(...children.map((child, index) => eater(child, index + 1)));
}

function showDay() {
  const isLate = daysBack > 0;
  at("meal-day").textContent = today ? `${isLate ? "" : `${text("Today")}, `}${inWords(dayOf(daysBack))}` : "";
  at("day-before").disabled = !today;
  at("day-after").disabled = !isLate;
}

async function openGroups() {
  group = "";
  at("missing").textContent = text("Class");
  at("days").hidden = at("groups").hidden = false;
  showDay();
  showEaters([]);
  legend();
  const answer = await ask("classes", {});
  if (view !== "group" || group) return;
  const names = Object.keys(answer.classes || {});
  at("groups").replaceChildren(...names.map((name, index) => {
    const line = make("li", "");
    const opener = button("", () => openGroup(name));
    opener.append(make("kbd", index + 1), ` ${name}`);
    line.append(opener);
    return line;
  }));
  say(answer.error || (names.length ? "" : text("The central sent no classes yet.")));
  lines()[0]?.focus();
}

async function openGroup(name) {
  wake();
  group = name;
  at("days").hidden = at("groups").hidden = true;
  legend();
  const day = daysBack ? dayOf(daysBack) : "";
  const answer = await ask("class", { class: name, ...(day ? { day } : {}) });
  if (view !== "group" || group !== name) return;
  const children = answer.eaters || [];
  showEaters(children);
  const missing = children.filter((child) => !child.eaten).length;
  at("missing").textContent = `${name}${day ? `, ${inWords(day)}` : ""}: ${missing} ${text("have not eaten")}`;
  say(answer.error || "");
  lines()[0]?.focus();
}

function turnDay(back) {
  if (!today || daysBack + back < 0) return;
  daysBack += back;
  showDay();
}

async function search() {
  wake();
  const wanted = at("search").value.trim();
  const answer = wanted ? await ask("search", { text: wanted }) : { eaters: [] };
  if (view !== "child" || at("search").value.trim() !== wanted) return;
  showEaters(answer.eaters || []);
  say(answer.error || (wanted && !answer.eaters.length ? text("Nobody matches.") : ""));
}

async function closeService() {
  if (!/^\d+$/.test(at("trays").value.trim())) { say(text("First write how many trays were counted.")); return; }
  const trays = Number(at("trays").value);
  const answer = await ask("closing", { trays });
  if (!answer.error) openView("home");
  say(answer.error || `${text("Closed")}: ${trays} ${text("trays")}, ${answer.served} ${text("meals")} (${trays - answer.served})`);
}

async function confirmDay() {
  const [, day, month, year] = at("day").value.trim().match(/^(\d\d)\D?(\d\d)\D?(\d{4})$/) || [];
  const written = `${year}-${month}-${day}`;
  // 31 February becomes a day of March
  if (!year || !(new Date(`${written}T12:00:00Z`).toJSON() || "").startsWith(written)) { say(text("This is no day.")); return; }
  if (confirmed !== written) {
    confirmed = written;
    at("day-words").textContent = `${text("Confirm")}: ${inWords(written)}`;
    return;
  }
  const answer = await ask("day", { day: written });
  if (!answer.error) openView("home");
  say(answer.error || `${text("Today is")} ${answer.day}`);
}

// The buttons of the lines among which the keys move.
function lines() {
  const from = { home: "#taps", child: "#eaters", group: group ? "#eaters" : "#groups" }[view];
  return from ? [...document.querySelectorAll(`${from} li:not([hidden])`)].map((line) => line.querySelector("button")).filter(Boolean) : [];
}

function move(step) {
  const all = lines();
  const now = all.findIndex((line) => line.parentNode.contains(document.activeElement));
  all[now < 0 ? 0 : Math.min(Math.max(now + step, 0), all.length - 1)]?.focus();
}

// The first touch of an undo: it only asks. `step` is to the line before or after the one that asks.
function askUndo(step) {
  const all = lines();
  const next = armed ? all[Math.min(Math.max(all.indexOf(armed) + step, 0), all.length - 1)] : all[0];
  next?.focus();
  if (next && next !== armed) next.click();
}

function jump(digit) {
  if (Date.now() - digitsAt > BUFFER_MS) digits = "";
  digitsAt = Date.now();
  digits += digit;
  const all = lines();
  if (Number(digits) > all.length) digits = digit;
  all[Number(digits) - 1]?.focus();
}

function back() {
  if (view === "group" && group) openGroups();
  else if (armed) { document.activeElement.blur(); disarm(); }
  else if (view !== "home") openView("home");
}

const HOME_KEYS = {
  "+": () => openView("child"), "/": () => openView("group"), "*": () => openView("closing"),
  "0": () => at("set-day").hidden || openView("today"), ".": () => at("language").click(),
};

// Returns what a key does now; undefined leaves it to the browser.
function action(key) {
  if (key === "Escape" || (key === "." && (view !== "home" || armed))) return back;
  if (view === "home" && !armed && HOME_KEYS[key]) return HOME_KEYS[key];
  if (document.activeElement.id === "search" && ["Enter", "ArrowDown", "+"].includes(key))
    return () => searching.then(() => lines()[0]?.focus());  // the list may still be an older one
  if (key === "Enter" && document.activeElement.id === "trays") return closeService;
  if (key === "Enter" && document.activeElement.id === "day") return confirmDay;
  if (view === "home" && (key === "-" || (armed && ["+", "ArrowDown", "ArrowUp"].includes(key))))
    return () => askUndo(key === "-" || key === "ArrowDown" ? 1 : -1);
  if (view === "home") return undefined;
  if (key === "+" || key === "ArrowDown") return () => move(1);
  if (key === "-" || key === "ArrowUp") return () => move(-1);
  if (view === "group" && !group && (key === "*" || key === "/")) return () => turnDay(key === "*" ? 1 : -1);
  if (key === "*") return () => document.activeElement.closest("#eaters li")?.lastElementChild.click();
  if (key === "/" && view === "child") return () => { at("search").select(); at("search").focus(); };
  if (/^\d$/.test(key) && (view === "child" || view === "group")) return () => jump(key);
  return undefined;
}

addEventListener("keydown", (event) => {
  document.body.dataset.by = "keys";
  if (event.repeat && event.key === "Enter") { event.preventDefault(); return; }  // a key held down confirms nothing
  if (event.ctrlKey || event.altKey || event.metaKey || document.body.dataset.state !== "serving") return;
  const isKeypad = event.code.startsWith("Numpad");
  const key = event.code === "NumpadDecimal" ? "." : event.key;
  // in a field a keyboard writes all, and a keypad its digits
  if (event.target instanceof HTMLInputElement && key.length === 1 && (!isKeypad || /\d/.test(key))) return;
  const act = action(key);
  if (!act) return;
  event.preventDefault();
  wake();
  act();
});
addEventListener("pointerdown", () => { document.body.dataset.by = "touch"; wake(); });
new ResizeObserver(fit).observe(at("taps"));

for (const opener of document.querySelectorAll("nav [data-open]"))
  opener.addEventListener("click", () => opener.dataset.open === "home" ? back() : openView(opener.dataset.open));
at("undo").addEventListener("click", () => armed ? armed.click() : askUndo(0));
at("day-before").addEventListener("click", () => turnDay(1));
at("day-after").addEventListener("click", () => turnDay(-1));
at("search").addEventListener("input", () => { searching = search(); });
at("day").addEventListener("input", () => { confirmed = ""; at("day-words").textContent = text("Show the day"); });
at("close").addEventListener("click", closeService);
at("confirm-day").addEventListener("click", confirmDay);

setInterval(() => { if (slept()) openStream(); beat = Date.now(); }, 1_000);
ready();
openStream();
