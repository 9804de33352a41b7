// What the test programs of test/js/weblib use: test(name, function), which may return a
// promise, and assertions. Tests run one after the other. It keeps its own references,
// since some programs replace built-ins.
'use strict';

{
	const { apply, ownKeys } = Reflect;
	const { is } = Object;
	const push = (list, item) => {
		list[list.length] = item;
	};
	const write = process.stderr.write.bind(process.stderr);
	const ErrorConstructor = Error;
	const describe = (error) => `${error?.stack ?? error}`;

	const queue = [];
	let failed = 0;
	let finished = 0;
	let running = false;

	function report(name, error) {
		failed++;
		write(`FAILED ${name}\n${describe(error)}\n`);
	}

	async function runAll() {
		running = true;
		while (finished < queue.length) {
			const { name, body } = queue[finished];
			try {
				await body();
			} catch (error) {
				report(name, error);
			}
			finished++;
		}
		running = false;
	}

	function fail(message) {
		throw new ErrorConstructor(message);
	}

	function show(value) {
		if (typeof value === 'string') return JSON.stringify(value);
		if (typeof value === 'object' && value !== null) {
			try {
				return JSON.stringify(value);
			} catch {
				return 'an object';
			}
		}
		return String(value);
	}

	globalThis.test = (name, body) => {
		push(queue, { name, body });
		if (!running) apply(runAll, undefined, []);
	};
	globalThis.equal = (actual, expected, what = '') => {
		if (!is(actual, expected))
			fail(`${what}: ${show(actual)} is not ${show(expected)}`);
	};
	globalThis.ok = (value, what = 'not true') => {
		if (!value) fail(what);
	};
	// Arrays and plain objects of values, of any depth.
	globalThis.same = (actual, expected, what = '') => {
		if (typeof expected !== 'object' || expected === null) {
			equal(actual, expected, what);
			return;
		}
		if (typeof actual !== 'object' || actual === null) fail(`${what}: not an object`);
		const keys = ownKeys(expected);
		if (ownKeys(actual).length !== keys.length)
			fail(`${what}: ${show(actual)} is not ${show(expected)}`);
		for (let i = 0; i < keys.length; i++)
			same(actual[keys[i]], expected[keys[i]], `${what}.${String(keys[i])}`);
	};
	const matches = (error, wanted, what) => {
		if (typeof wanted === 'function') {
			if (!(error instanceof wanted)) fail(`${what}: threw ${describe(error)}`);
			return;
		}
		for (const key of ownKeys(wanted)) equal(error?.[key], wanted[key], `${what}: ${key}`);
	};
	// WANTED: a constructor, or properties that the error has.
	globalThis.throws = (body, wanted, what = 'throws') => {
		let thrown;
		try {
			body();
		} catch (error) {
			thrown = { error };
		}
		if (thrown === undefined) fail(`${what}: did not throw`);
		matches(thrown.error, wanted, what);
	};
	globalThis.rejects = async (promise, wanted, what = 'rejects') => {
		let thrown;
		try {
			await promise;
		} catch (error) {
			thrown = { error };
		}
		if (thrown === undefined) fail(`${what}: did not reject`);
		matches(thrown.error, wanted, what);
	};
	globalThis.__finish = () => {
		if (finished !== queue.length) {
			failed++;
			write(`FAILED ${queue[finished]?.name}: did not finish\n`);
		}
		return failed;
	};
}
