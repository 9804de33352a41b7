// Coverage needs V8's inspector in the program itself, which tenants do not have.

import { codes } from '../../../errors.js';

export function setupCoverage() {
	throw new codes.ERR_METHOD_NOT_IMPLEMENTED('code coverage of node:test');
}
