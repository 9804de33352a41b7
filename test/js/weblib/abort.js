'use strict';

test('abort runs once, with a reason', () => {
	const controller = new AbortController();
	const { signal } = controller;
	let count = 0;
	signal.onabort = () => count++;
	equal(signal.aborted, false);
	equal(signal.reason, undefined);
	signal.throwIfAborted();
	controller.abort();
	controller.abort('again');
	equal(count, 1);
	equal(signal.reason.name, 'AbortError');
	ok(signal.reason instanceof DOMException);
	throws(() => signal.throwIfAborted(), { name: 'AbortError' });
	equal(AbortSignal.abort('why').reason, 'why');
	throws(() => new AbortSignal(), { name: 'TypeError', message: 'Illegal constructor' });
});

test('any: aborted by whichever comes first', () => {
	const a = new AbortController();
	const b = new AbortController();
	const any = AbortSignal.any([a.signal, b.signal]);
	const nested = AbortSignal.any([any]);
	const order = [];
	a.signal.addEventListener('abort', () => order.push('a', nested.aborted));
	any.addEventListener('abort', () => order.push('any'));
	nested.addEventListener('abort', () => order.push('nested'));
	a.abort(1);
	b.abort(2);
	same(order, ['a', true, 'any', 'nested']);
	equal(nested.reason, 1);
	equal(AbortSignal.any([AbortSignal.abort(3), a.signal]).reason, 3);
	equal(AbortSignal.any([]).aborted, false);
	throws(() => AbortSignal.any([1]), TypeError);
	throws(() => AbortSignal.any({}), TypeError);
});

test('timeout', async () => {
	const before = performance.now();
	const signal = AbortSignal.timeout(15);
	const any = AbortSignal.any([signal]);
	const keep = setTimeout(() => {}, 2000); // the timeout itself does not keep the program
	const reason = await new Promise((resolve) => any.addEventListener('abort', () => resolve(any.reason)));
	clearTimeout(keep);
	equal(reason.name, 'TimeoutError');
	equal(reason, signal.reason);
	ok(performance.now() - before >= 14, 'too early');
	throws(() => AbortSignal.timeout(-1), TypeError);
	throws(() => AbortSignal.timeout(NaN), TypeError);
	equal(AbortSignal.timeout(2 ** 40).aborted, false);
});

test('many dependents of one long-lived signal are forgotten', () => {
	const { signal } = new AbortController();
	for (let i = 0; i < 100000; i++) AbortSignal.any([signal]);
	ok(true);
});
