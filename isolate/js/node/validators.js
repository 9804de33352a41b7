// Node's checks of arguments: validateString(value, name) and so on, for library code.
import validators from './upstream/internal/validators.js';
export const {
	validateAbortSignal,
	validateArray,
	validateBoolean,
	validateBuffer,
	validateEncoding,
	validateFunction,
	validateInt32,
	validateInteger,
	validateNumber,
	validateObject,
	validateOneOf,
	validatePort,
	validateSignalName,
	validateString,
	validateStringArray,
	validateUint32,
	parseFileMode,
} = validators;
