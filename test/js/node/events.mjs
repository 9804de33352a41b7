import EventEmitter, { once, on, errorMonitor, captureRejectionSymbol, getEventListeners, setMaxListeners, listenerCount, addAbortListener } from 'node:events';

const e = new EventEmitter();
console.log(e, EventEmitter.name, EventEmitter.defaultMaxListeners, EventEmitter === EventEmitter.EventEmitter);
e.on('newListener', (name, listener) => console.log('new', name, typeof listener));
e.on('removeListener', (name) => console.log('removed', name));
e.on('x', function (...args) {
	console.log('x', this === e, args);
});
e.once('x', () => console.log('once'));
e.prependListener('x', () => console.log('first'));
console.log(e.emit('x', 1, 2), e.emit('x'), e.emit('none'), e.eventNames(), e.listenerCount('x'), e.listeners('x').length, e.rawListeners('x').length);
e.off('x', e.listeners('x')[0]);
e.removeAllListeners('x');
for (const run of [
	() => e.on('x', 5),
	() => e.emit('error', new RangeError('boom')),
	() => e.emit('error', { not: 'error' }),
	() => e.emit('error'),
	() => e.setMaxListeners(-1),
])
	try {
		run();
	} catch (error) {
		console.log(error.name, error.code, error.message);
	}
e.on(errorMonitor, (error) => console.log('monitor', error.message));
e.once('error', (error) => console.log('error', error.message));
e.emit('error', new Error('seen'));

setTimeout(() => e.emit('later', 42, 'more'), 1);
console.log(await once(e, 'later'));
const controller = new AbortController();
setTimeout(() => controller.abort(), 1);
try {
	await once(e, 'never', { signal: controller.signal });
} catch (error) {
	console.log(error.name, error.code, error.message);
}
setTimeout(() => {
	e.emit('tick', 1);
	e.emit('tick', 2);
	e.emit('done');
}, 1);
for await (const value of on(e, 'tick', { close: ['done'] })) console.log('tick', value);

const capturing = new EventEmitter({ captureRejections: true });
capturing.on('go', async () => {
	throw new Error('rejected');
});
capturing.on('error', (error) => console.log('captured', error.message));
capturing.emit('go');
await new Promise((resolve) => setTimeout(resolve, 5));

const target = new EventTarget();
const listener = () => {};
target.addEventListener('a', listener);
console.log(getEventListeners(target, 'a').length, getEventListeners(target, 'a')[0] === listener, getEventListeners(e, 'tick').length);
console.log(listenerCount(e, 'newListener'), typeof captureRejectionSymbol);
setTimeout(() => target.dispatchEvent(new Event('b')), 1);
console.log((await once(target, 'b'))[0].type);
const aborted = AbortSignal.abort();
addAbortListener(aborted, () => console.log('aborted already'));
process.once('warning', (warning) => console.log(warning.name, warning.count, warning.type, warning.message.slice(0, 60)));
const many = new EventEmitter();
setMaxListeners(1, many);
many.on('m', () => {}).on('m', () => {});
await new Promise((resolve) => setTimeout(resolve, 2));
class Sub extends EventEmitter {}
console.log(new Sub() instanceof EventEmitter, new Sub());
