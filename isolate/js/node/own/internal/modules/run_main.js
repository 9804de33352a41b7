// The entry of a program is run by ../../../modules.js.

import { codes } from '../../../errors.js';

export function executeUserEntryPoint() {
	throw new codes.ERR_METHOD_NOT_IMPLEMENTED('Module.runMain()');
}

// Never: what is a module was found to be one before.
export function runEntryPointWithESMLoader() {}
