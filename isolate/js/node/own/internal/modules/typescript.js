// Types are stripped when a release is made (deploy/esbuild.c), not while it runs.

import { codes } from '../../../errors.js';

export function stripTypeScriptTypes() {
	throw new codes.ERR_METHOD_NOT_IMPLEMENTED('module.stripTypeScriptTypes()');
}
export const stripTypeScriptModuleTypes = stripTypeScriptTypes;
