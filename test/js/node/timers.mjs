import timers from 'node:timers';
import * as promises from 'node:timers/promises';
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';

console.log(await promises.setTimeout(1, 'value'), await promises.setImmediate('now'), timers.setTimeout === setTimeout, timers.promises.setTimeout === promises.setTimeout);
let n = 0;
for await (const value of promises.setInterval(1, 'tick')) {
	console.log(value);
	if (++n === 3) break;
}
await promises.setTimeout(1000, null, { signal: AbortSignal.abort() }).catch((error) => console.log(error.name, error.code));
const controller = new AbortController();
setTimeout(() => controller.abort(), 1);
await promises.setTimeout(100000, null, { signal: controller.signal }).catch((error) => console.log(error.name, error.code));
await promises.scheduler.wait(1);
await promises.setTimeout('x').catch((error) => console.log(error.code));

const storage = new AsyncLocalStorage();
const order = [];
storage.run({ id: 1 }, async () => {
	order.push(['sync', storage.getStore()]);
	process.nextTick(() => order.push(['tick', storage.getStore()]));
	queueMicrotask(() => order.push(['microtask', storage.getStore()]));
	setImmediate(() => order.push(['immediate', storage.getStore()]));
	setTimeout(() => order.push(['timer', storage.getStore()]), 5);
	Promise.resolve().then(() => order.push(['then', storage.getStore()]));
	await null;
	order.push(['await', storage.getStore()]);
	await promises.setTimeout(20);
	order.push(['later', storage.getStore()]);
	storage.exit(() => order.push(['exit', storage.getStore()]));
	await storage.run(2, async () => {
		await promises.setTimeout(1);
		order.push(['nested', storage.getStore()]);
	});
	order.push(['after nested', storage.getStore()]);
});
order.push(['outside', storage.getStore()]);
await promises.setTimeout(60);
console.log(order);
const bound = storage.run('kept', () => AsyncResource.bind(() => storage.getStore()));
const snapshot = storage.run('snapshot', () => AsyncLocalStorage.snapshot());
console.log(bound(), snapshot(() => storage.getStore()), storage.getStore());
const resource = storage.run('resource', () => new AsyncResource('mine'));
console.log(resource.runInAsyncScope((a) => [a, storage.getStore()], null, 5));
setTimeout(() => {
	storage.enterWith('leak');
	setTimeout(() => console.log('inherits', storage.getStore()), 1);
}, 1);
setTimeout(() => console.log('not leaked', storage.getStore()), 150);
await promises.setTimeout(250);
console.log(new AsyncLocalStorage({ defaultValue: 'd', name: 'n' }).getStore());
