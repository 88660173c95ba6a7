// Asks the service about a flight and shows the expected delay and what moved it.
"use strict";

const byId = (id) => document.getElementById(id);
let newest = 0; // the number of the newest question: older answers that come late are not shown

function show(id, text) { byId(id).textContent = text; }

function minutes(value) {
  const whole = Math.abs(value).toFixed(0);
  return `${whole} ${whole === "1" ? "minute" : "minutes"}`;
}

function signed(value) { return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`; }

async function post(path, flight, key) {
  const response = await fetch(path, {
    method: "POST", cache: "no-store", body: JSON.stringify(flight),
    headers: { "Content-Type": "application/json", "X-API-Key": key },
  });
  const body = await response.json();
  if (!response.ok) throw new Error(`${response.status}: ${body.reason}`);
  return body;
}

// The flight as the form describes it; what is left empty is left out.
function flight() {
  const number = (id) => {
    const text = byId(id).value.trim();
    return text === "" ? undefined : Number.isNaN(Number(text)) ? text : Number(text);
  };
  return {
    route: byId("route").value.trim().toUpperCase(),
    airline: byId("airline").value,
    departure_time: `${byId("departure").value}Z`,
    aircraft_type: byId("aircraft").value,
    weather_condition: byId("weather").value || undefined,
    inbound_delay_minutes: number("inbound"),
    turnaround_minutes: number("turnaround"),
  };
}

function showPrediction(answer) {
  const late = Math.round(answer.delay_minutes);
  show("delay", late === 0 ? "On time" : `${minutes(late)} ${late > 0 ? "late" : "early"}`);
  show("range", `8 of 10 such flights: ${signed(answer.low_minutes)} to ${signed(answer.high_minutes)} minutes`);
  byId("confidence").value = answer.confidence;
  show("confidence-text", `${Math.round(answer.confidence * 100)} %`);
  show("features", String(answer.features_used));
  show("model", answer.model_version);
  show("took", `${answer.inference_time_ms.toFixed(1)} ms`);
  byId("degraded").replaceChildren(...answer.degraded.map((sentence) => {
    const item = document.createElement("li");
    item.textContent = `${sentence[0].toUpperCase()}${sentence.slice(1)}.`;
    return item;
  }));
}

function row(name, value, longest, kind = "") {
  const made = byId("part").content.firstElementChild.cloneNode(true);
  const bar = made.querySelector(".bar");
  made.children[0].textContent = name;
  made.children[1].textContent = signed(value);
  made.className = kind;
  if (kind) {
    bar.remove();
  } else {
    const width = 50 * Math.abs(value) / longest;
    bar.classList.toggle("early", value < 0);
    bar.style.width = `${width}%`;
    bar.style.marginLeft = `${value < 0 ? 50 - width : 50}%`;
  }
  return made;
}

function showReasons(why) {
  const longest = Math.max(...why.parts.map((part) => Math.abs(part.minutes)), 1);
  byId("parts").replaceChildren(
    row("usual delay", why.usual_minutes, longest, "usual"),
    ...why.parts.map((part) => row(part.group, part.minutes, longest)),
    row("expected", why.delay_minutes, longest, "sum"),
  );
}

async function ask() {
  const question = ++newest;
  const button = document.querySelector("button");
  const key = byId("key").value.trim();
  button.disabled = true;
  try {
    const asked = flight();
    const [answer, why] = await Promise.all([
      post("/predict", asked, key), post("/explain", asked, key),
    ]);
    if (question !== newest) return;
    showPrediction(answer);
    showReasons(why);
    byId("problem").hidden = true;
    byId("result").hidden = false;
  } catch (error) {
    if (question !== newest) return;
    const reason = error instanceof TypeError ? "the service does not answer" : error.message;
    show("problem", `No prediction. ${reason}`);
    byId("problem").hidden = false;
    byId("result").hidden = true;
  } finally {
    if (question === newest) button.disabled = false;
  }
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});

// The key may stand behind the # of the address: that part never leaves the browser.
const given = new URLSearchParams(location.hash.slice(1));
if (given.get("key")) byId("key").value = given.get("key");
