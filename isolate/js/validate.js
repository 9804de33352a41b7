// Checks of arguments with Node's error codes and messages.

const StringConstructor = String;
const stringSlice = Function.prototype.call.bind(String.prototype.slice);

export function nodeError(Base, code, message) {
	const error = new Base(message);
	error.code = code;
	return error;
}

function received(value) {
	if (value == null) return ` Received ${value}`;
	if (typeof value === 'function') return ` Received function ${value.name}`;
	if (typeof value === 'object') {
		const name = value.constructor?.name;
		return name ? ` Received an instance of ${name}` : ' Received an object';
	}
	let text = typeof value === 'bigint' ? `${value}n` : StringConstructor(value);
	if (text.length > 28) text = `${stringSlice(text, 0, 25)}...`;
	if (typeof value === 'string') text = `'${text}'`;
	return ` Received type ${typeof value} (${text})`;
}

export function invalidArgumentType(name, expected, value) {
	return nodeError(
		TypeError,
		'ERR_INVALID_ARG_TYPE',
		`The "${name}" argument must be ${expected}.${received(value)}`,
	);
}

export function requireFunction(value, name) {
	if (typeof value !== 'function') throw invalidArgumentType(name, 'of type function', value);
}

export function requireString(value, name) {
	if (typeof value !== 'string') throw invalidArgumentType(name, 'of type string', value);
}
