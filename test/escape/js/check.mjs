// What the programs of this folder share. Each prints "ok NAME", or "BAD NAME: why".
export async function check(name, action) {
	try {
		const result = await action();
		console.log(result === true || result === undefined ? `ok ${name}` : `BAD ${name}: ${result}`);
	} catch (error) {
		console.log(`BAD ${name}: ${error?.stack ?? error}`);
	}
}

// The code of the error that ACTION ends with, or "got …".
export async function codeOf(action) {
	try {
		const value = await action();
		return `got ${typeof value === 'object' ? JSON.stringify(value)?.slice(0, 80) : String(value).slice(0, 80)}`;
	} catch (error) {
		return String(error?.code ?? error?.cause?.code ?? error?.name ?? error);
	}
}

// Every one of ACTIONS fails, with one of CODES if there are any.
export function refused(name, codes, ...actions) {
	return check(name, async () => {
		for (const action of actions) {
			const code = await codeOf(action);
			if (code.startsWith('got')) return `${action} ${code}`;
			if (codes.length && !codes.includes(code)) return `${action} gave ${code}`;
		}
	});
}

// What is not there cannot be misused; when somebody adds it, this asks for a test of it.
export function absent(name, ...actions) {
	return check(name, async () => {
		for (const action of actions) {
			const code = await codeOf(action);
			if (!['got undefined', 'ERR_UNKNOWN_BUILTIN_MODULE', 'ERR_MODULE_NOT_FOUND', 'TypeError', 'ReferenceError',
				'ERR_UNSUPPORTED_ESM_URL_SCHEME', 'ERR_FEATURE_UNAVAILABLE', 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', 'ERR_METHOD_NOT_IMPLEMENTED'].includes(code))
				return `${action} is there: ${code}`;
		}
	});
}
