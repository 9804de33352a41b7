// The reporter of coverage, of which there is none (../coverage.js).

import { codes } from '../../../../errors.js';

export default function lcov() {
	throw new codes.ERR_METHOD_NOT_IMPLEMENTED('the reporter lcov');
}
