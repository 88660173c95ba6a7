// Asks the service for a user and shows what it answered, and which tier it came from.
"use strict";

const byId = (id) => document.getElementById(id);
const STORES = { redis: "Redis", postgres: "PostgreSQL", mongo: "MongoDB", engine: "Engine" };
const euros = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });
let newest = 0; // the number of the newest question: older answers that come late are not shown

// {store: milliseconds} from a Server-Timing header such as "redis;dur=0.4, mongo;dur=2.1".
function timings(response) {
  const parts = (response.headers.get("Server-Timing") ?? "").matchAll(/(\w+);dur=([\d.]+)/g);
  return Object.fromEntries([...parts].map(([, store, value]) => [store, Number(value)]));
}

async function get(path, key) {
  const response = await fetch(path, { headers: { "X-API-Key": key }, cache: "no-store" });
  const body = await response.json();
  if (!response.ok) throw new Error(`${response.status}: ${body.reason ?? body.error}`);
  return { body, response };
}

function show(id, text) { byId(id).textContent = text; }

function fill(list, template, items, write) {
  byId(list).replaceChildren(...items.map((item) => {
    const row = byId(template).content.firstElementChild.cloneNode(true);
    write(row, item);
    return row;
  }));
}

function showUser(user, answer) {
  show("name", user ? user.name : `User ${answer.user_id}`);
  show("place", user
    ? `${user.city}, ${user.country} · customer since ${user.registered_on}`
    : "Name and city are in PostgreSQL, which does not answer.");
  show("segment", answer.segment);
  byId("churn").value = answer.churn_risk;
  show("churn-text", `${Math.round(answer.churn_risk * 100)} %`);
  show("value", euros.format(answer.lifetime_value));
  show("offer", answer.offer);
}

function showTier(answer, response) {
  const stores = Object.entries(timings(response));
  const total = stores.reduce((sum, [, value]) => sum + value, 0);
  show("tier", answer.served_from === "redis" ? "Redis" : "the databases");
  byId("tier").classList.toggle("slow", answer.served_from !== "redis");
  show("total", `${total.toFixed(1)} ms`);
  fill("stores", "store-row", stores, (row, [store, value]) => {
    row.children[0].textContent = STORES[store] ?? store;
    row.children[1].textContent = value.toFixed(1);
    row.querySelector(".bar").style.width = `${Math.round(100 * value / total)}%`;
  });
  byId("degraded").replaceChildren(...answer.degraded.map((sentence) => {
    const item = document.createElement("li");
    item.textContent = sentence;
    return item;
  }));
}

function showProducts(products) {
  fill("products", "product", products, (row, product) => {
    row.querySelector(".product").textContent = product.name;
    row.querySelector(".category").textContent = product.category;
    row.querySelector(".price").textContent = euros.format(product.price);
    row.querySelector(".seen").hidden = !product.looked_at;
  });
}

async function ask(user, key) {
  const question = ++newest;
  const button = document.querySelector("button");
  const path = `/api/users/${encodeURIComponent(user)}`;
  button.disabled = true;
  try {
    const [who, answer] = await Promise.allSettled([
      get(path, key), get(`${path}/personalized-recommendations`, key),
    ]);
    if (question !== newest) return;
    if (answer.status === "rejected") throw answer.reason;
    showUser(who.value?.body, answer.value.body);
    showTier(answer.value.body, answer.value.response);
    showProducts(answer.value.body.recommendations);
    byId("problem").hidden = true;
    byId("result").hidden = false;
  } catch (error) {
    if (question !== newest) return;
    const reason = error instanceof TypeError ? "the service does not answer" : error.message;
    show("problem", `No recommendations. ${reason}`);
    byId("problem").hidden = false;
    byId("result").hidden = true;
  } finally {
    if (question === newest) button.disabled = false;
  }
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask(byId("user").value.trim(), byId("key").value.trim());
});

// The key may stand behind the # of the address: that part never leaves the browser.
const given = new URLSearchParams(location.hash.slice(1));
if (given.get("user")) byId("user").value = given.get("user");
if (given.get("key")) {
  byId("key").value = given.get("key");
  byId("ask").requestSubmit();
}
