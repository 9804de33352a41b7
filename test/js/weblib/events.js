'use strict';

test('listeners run in order, capturing ones first', () => {
	const target = new EventTarget();
	const calls = [];
	target.addEventListener('x', () => calls.push('bubble 1'));
	target.addEventListener('x', () => calls.push('capture'), true);
	target.addEventListener('x', { handleEvent: (event) => calls.push(event.type) });
	target.addEventListener('x', () => calls.push('once'), { once: true });
	equal(target.dispatchEvent(new Event('x')), true);
	target.dispatchEvent(new Event('x'));
	same(calls, ['capture', 'bubble 1', 'x', 'once', 'capture', 'bubble 1', 'x']);
});

test('the same listener is added once, and removed by capture', () => {
	const target = new EventTarget();
	let count = 0;
	const listener = () => count++;
	target.addEventListener('x', listener);
	target.addEventListener('x', listener, { passive: true });
	target.addEventListener('x', listener, true);
	target.dispatchEvent(new Event('x'));
	equal(count, 2);
	target.removeEventListener('x', listener, { capture: true });
	target.removeEventListener('x', listener, false);
	target.dispatchEvent(new Event('x'));
	equal(count, 2);
});

test('listeners added and removed while dispatching', () => {
	const target = new EventTarget();
	const calls = [];
	const second = () => calls.push('second');
	target.addEventListener('x', () => {
		calls.push('first');
		target.removeEventListener('x', second);
		target.addEventListener('x', () => calls.push('late'), { once: true });
	}, { once: true });
	target.addEventListener('x', second);
	target.dispatchEvent(new Event('x'));
	same(calls, ['first']);
	target.dispatchEvent(new Event('x'));
	same(calls, ['first', 'late']);
});

test('canceling', () => {
	const target = new EventTarget();
	target.addEventListener('x', (event) => event.preventDefault());
	equal(target.dispatchEvent(new Event('x')), true);
	equal(target.dispatchEvent(new Event('x', { cancelable: true })), false);
	const passive = new EventTarget();
	passive.addEventListener('x', (event) => event.preventDefault(), { passive: true });
	equal(passive.dispatchEvent(new Event('x', { cancelable: true })), true);
});

test('stopping', () => {
	const target = new EventTarget();
	const calls = [];
	target.addEventListener('x', (event) => {
		calls.push(1);
		event.stopImmediatePropagation();
	});
	target.addEventListener('x', () => calls.push(2));
	const event = new Event('x');
	target.dispatchEvent(event);
	equal(event.cancelBubble, false);
	same(calls, [1]);
});

test('what an event says while it is dispatched and after', () => {
	const target = new EventTarget();
	const event = new Event('x', { bubbles: true });
	let during;
	target.addEventListener('x', (e) => {
		during = [e.eventPhase, e.target === target, e.currentTarget === target, e.composedPath().length];
		throws(() => target.dispatchEvent(e), { name: 'InvalidStateError' });
	});
	target.dispatchEvent(event);
	same(during, [2, true, true, 1]);
	same([event.eventPhase, event.currentTarget, event.target === target, event.isTrusted], [0, null, true, false]);
	ok(event.timeStamp >= 0 && event.timeStamp <= performance.now());
	equal(Object.getOwnPropertyDescriptor(event, 'isTrusted').configurable, false);
});

test('a signal removes a listener', () => {
	const target = new EventTarget();
	const controller = new AbortController();
	let count = 0;
	target.addEventListener('x', () => count++, { signal: controller.signal });
	target.dispatchEvent(new Event('x'));
	controller.abort();
	target.dispatchEvent(new Event('x'));
	target.addEventListener('x', () => count++, { signal: controller.signal });
	target.dispatchEvent(new Event('x'));
	equal(count, 1);
	throws(() => target.addEventListener('x', () => {}, { signal: null }), TypeError);
});

test('events with data', () => {
	equal(new CustomEvent('x', { detail: 5 }).detail, 5);
	equal(new CustomEvent('x').detail, null);
	const error = new ErrorEvent('error', { message: 'm', lineno: 3, error: 1 });
	same([error.message, error.filename, error.lineno, error.colno, error.error], ['m', '', 3, 0, 1]);
	const promise = Promise.resolve();
	equal(new PromiseRejectionEvent('x', { promise, reason: 2 }).reason, 2);
	throws(() => new PromiseRejectionEvent('x', {}), TypeError);
	const message = new MessageEvent('message', { data: { a: 1 }, origin: 'o' });
	same([message.data, message.origin, message.source, message.ports.length], [{ a: 1 }, 'o', null, 0]);
});

test('the wrong this is an illegal invocation', () => {
	const getter = Object.getOwnPropertyDescriptor(Event.prototype, 'type').get;
	throws(() => getter.call({}), { name: 'TypeError', message: 'Illegal invocation' });
	throws(() => EventTarget.prototype.addEventListener.call({}, 'x', null), TypeError);
	throws(() => new EventTarget().dispatchEvent({}), { code: 'ERR_INVALID_ARG_TYPE' });
	throws(() => new Event(), { code: 'ERR_MISSING_ARGS' });
});

test('the global is a target', () => {
	let seen;
	const listener = (event) => (seen = [event.target === globalThis, event.currentTarget === globalThis]);
	addEventListener('own', listener);
	dispatchEvent(new Event('own'));
	removeEventListener('own', listener);
	same(seen, [true, true]);
});

test('reportError goes to the error event', () => {
	const error = new Error('reported');
	let seen;
	addEventListener('error', (event) => {
		seen = [event.error === error, event.message, event.isTrusted];
		event.preventDefault();
	}, { once: true });
	reportError(error);
	same(seen, [true, 'Uncaught Error: reported', true]);
	let args;
	globalThis.onerror = (...given) => {
		args = given;
		return true;
	};
	reportError(error);
	globalThis.onerror = null;
	same([args.length, args[0], args[4] === error], [5, 'Uncaught Error: reported', true]);
});

test('a listener that throws does not stop the others', () => {
	const target = new EventTarget();
	const calls = [];
	addEventListener('error', (event) => {
		calls.push(event.error);
		event.preventDefault();
	}, { once: true });
	target.addEventListener('x', () => {
		throw 'thrown';
	});
	target.addEventListener('x', () => calls.push('next'));
	target.dispatchEvent(new Event('x'));
	same(calls, ['thrown', 'next']);
});

test('unhandled rejections reach the global', async () => {
	const seen = [];
	globalThis.onunhandledrejection = (event) => {
		seen.push(event.type, event.reason);
		event.preventDefault();
	};
	globalThis.onrejectionhandled = (event) => seen.push(event.type);
	const promise = Promise.reject('why');
	await new Promise((resolve) => setTimeout(resolve, 1));
	promise.catch(() => {});
	await new Promise((resolve) => setTimeout(resolve, 1));
	globalThis.onunhandledrejection = globalThis.onrejectionhandled = null;
	same(seen, ['unhandledrejection', 'why', 'rejectionhandled']);
});
