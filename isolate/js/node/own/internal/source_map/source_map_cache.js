// Source maps are read when a stack is made (isolate/source_map.c).

import { StringPrototypeLastIndexOf, StringPrototypeSlice } from '../../../../primordials.js';
import { native } from '../../../../native.js';
import { pathToFileURL } from '../url.js';

const MARK = '//# sourceMappingURL=';

export function maybeCacheSourceMap(filename, content) {
	const at = StringPrototypeLastIndexOf(content, MARK);
	if (at >= 0) native.moduleSourceMap(pathToFileURL(filename).href, StringPrototypeSlice(content, at));
}

export function findSourceMap() {
	return undefined;
}

export function getSourceMapsSupport() {
	return { __proto__: null, enabled: true, nodeModules: true, generatedCode: true };
}

export function setSourceMapsSupport() {}
