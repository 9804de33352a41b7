// The driver of natives_fuzz: its last value is a function of an input's bytes. An input is a
// list of acts: a piece of a program (scenarios.js), in which the wrappers of prologue.js change
// some of the calls, or a call of any native function, with arguments that it had once, of which
// some are others.
(() => {
	const { fuzz, makeValues, scenarios } = globalThis;
	const { targets } = fuzz;

	// The process's end, other processes, and what narrows this one for all inputs to come.
	const skipped = new Set(['exit', 'fatal', 'permissionDrop', 'threadStart', 'childSpawn', 'childRun', 'writeStdio', 'threadSelf', 'lifecycleDrained']);
	// What takes long when it is told to; what is bigger than these numbers is refused.
	const slow = /Job|Generate|DiffieHellman|Prime|pbkdf|scrypt|new ECDH|Stop|timer|immediate/i;

	let bytes = new Uint8Array(0);
	let position = 0;
	const byte = () => (position < bytes.length ? bytes[position++] : 0);
	const below = (limit) => (limit <= 256 ? byte() % limit : (byte() * 256 + byte()) % limit);
	const text = (length) => {
		let result = '';
		for (let i = 0; i < length; i++) result += String.fromCharCode(byte());
		return result;
	};

	const pool = [];
	const keep = (item) => {
		if (item !== null && (typeof item === 'object' || typeof item === 'function')) pool[pool.length & 31] = item;
		if (pool.length > 32) pool.length = 32;
		return item;
	};
	let depth = 0;
	const { value, hurt } = makeValues({ byte, below, text }, pool, () => callAny());

	// The arguments of real calls, for each of the targets.
	const seen = targets.map(() => []);

	const bounded = (index, list) => {
		if (!slow.test(targets[index].name)) return list;
		for (let i = 0; i < list.length; i++)
			if (typeof list[i] === 'number' && list[i] > 600 && list[i] < 2 ** 31) list[i] = list[i] % 600 | 0;
		return list;
	};

	function call(index, receiver, list, newTarget) {
		if (depth > 6) throw new RangeError('too deep');
		depth++;
		try {
			return keep(targets[index].call(receiver, bounded(index, list), newTarget));
		} finally {
			depth--;
		}
	}

	function changed(list) {
		const result = list.slice();
		const count = 1 + below(3);
		for (let i = 0; i < count; i++) {
			const choice = below(8);
			if (choice === 0) result.length = below(result.length + 1);
			else result[below(result.length + 1)] = value();
		}
		return result;
	}

	function callAny() {
		const index = below(targets.length);
		if (skipped.has(targets[index].name)) return;
		const known = seen[index].length ? seen[index][below(seen[index].length)] : undefined;
		let receiver = known && below(4) ? known.receiver : pool.length ? pool[below(pool.length)] : value();
		if (below(16) === 0) receiver = value();
		let list = known ? changed(known.list) : [];
		if (!known) for (let i = below(11); i > 0; i--) list[list.length] = value();
		try {
			call(index, receiver, list, undefined);
		} catch (error) {
			check(error, index);
		}
	}

	// What a native throws is an error with a message, or what the program itself threw.
	function check(error, index) {
		if (typeof error === 'object' && error !== null && error instanceof Error && /internal error|assertion/i.test(error.message) && !error.code)
			throw new fuzz.Finding(`${targets[index].name}: ${error.stack}`);
	}

	function interfere(index, receiver, list, newTarget) {
		if (skipped.has(targets[index].name) || position >= bytes.length) return targets[index].call(receiver, list, newTarget);
		const choice = byte();
		if (choice < 190) return call(index, receiver, list, newTarget);
		if (choice < 225) return call(index, receiver, changed(list), newTarget);
		if (choice < 232) return call(index, value(), list, newTarget);
		if (choice < 240) callAny();
		else if (choice < 246) hurt();
		else if (choice < 250) call(index, receiver, list.slice(), newTarget);
		else
			for (const item of list)
				if (ArrayBuffer.isView(item))
					try {
						structuredClone(item.buffer, { transfer: [item.buffer] });
					} catch {}
		return call(index, receiver, list, newTarget);
	}

	const record = (index, receiver, list, newTarget) => {
		if (seen[index].length < 3) {
			seen[index].push({ receiver, list: list.slice() });
		}
		return targets[index].call(receiver, list, newTarget);
	};

	process.on('uncaughtException', () => {});
	process.on('unhandledRejection', () => {});
	process.on('warning', () => {});
	const names = Object.keys(scenarios);
	const failures = [];
	const run = (name, strict) => {
		try {
			const result = scenarios[name]();
			if (typeof result?.then === 'function') result.then(undefined, (error) => strict && failures.push(name, error?.stack));
		} catch (error) {
			if (strict) failures.push(name, error?.stack);
		}
	};
	fuzz.interfere = record;
	for (const name of names) run(name, true);
	fuzz.interfere = undefined;

	// What an input has called, for those who look how far it gets.
	fuzz.failures = () => failures.join('\n');
	fuzz.unreached = () => targets.filter((target, i) => seen[i].length === 0).map((target) => target.name).join(' ');

	fuzz.drive = (input) => {
		bytes = input;
		position = 0;
		depth = 0;
		pool.length = 0;
		fuzz.interfere = interfere;
		try {
			for (let acts = 0; acts < 24 && position < bytes.length; acts++) {
				if (below(3) === 0) run(names[below(names.length)], false);
				else callAny();
			}
		} finally {
			fuzz.interfere = undefined;
		}
	};
})();
