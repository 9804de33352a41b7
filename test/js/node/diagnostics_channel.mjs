import { channel, hasSubscribers, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { AsyncLocalStorage } from 'node:async_hooks';

const one = channel('one');
const hear = (message, name) => console.log(name, message);
console.log(one.hasSubscribers, hasSubscribers('one'));
subscribe('one', hear);
one.publish({ a: 1 });
console.log(one.hasSubscribers, unsubscribe('one', hear), unsubscribe('one', hear), one.hasSubscribers);
process.on('uncaughtException', (error) => console.log('uncaught', error.message));
one.subscribe(() => {
	throw new Error('in a subscriber');
});
one.publish('x');
await new Promise(setImmediate);

const storage = new AsyncLocalStorage();
const bound = channel('bound');
bound.bindStore(storage, (data) => data.value);
console.log(bound.runStores({ value: 5 }, (x) => storage.getStore() + x, undefined, 1), bound.unbindStore(storage));

const tracing = tracingChannel('work');
const events = {};
for (const name of ['start', 'end', 'asyncStart', 'asyncEnd', 'error'])
	events[name] = (context) => console.log(name, context.result, context.error?.message);
tracing.subscribe(events);
console.log(tracing.traceSync((x) => x * 2, {}, undefined, 4));
console.log(await tracing.tracePromise(async () => 'promised', {}));
await tracing.tracePromise(async () => Promise.reject(new Error('no')), {}).catch(() => {});
tracing.traceCallback((callback) => callback(null, 'called'), 0, {}, undefined, (error, value) => console.log(error, value));
console.log(tracing.unsubscribe(events), tracing.hasSubscribers);
try {
	channel(5);
} catch (error) {
	console.log(error.code);
}
