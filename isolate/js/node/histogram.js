// The histograms of node:perf_hooks: Gil Tene's HDR histograms, as HdrHistogram_c counts. What
// Node's own file of that name (upstream/internal/histogram.js) calls its handle.

import { primordials } from './primordials.js';
import { clearInterval, setInterval } from '../timers.js';
import { native } from '../native.js';
import { isolate } from '../primordials.js';

const {
	BigInt,
	Float64Array,
	MapPrototypeSet,
	MathAbs,
	MathCeil,
	MathClz32,
	MathExp,
	MathFloor,
	MathLog,
	MathLog2,
	MathMax,
	MathMin,
	MathPow,
	MathSqrt,
	Number,
	NumberMAX_SAFE_INTEGER,
	TypedArrayPrototypeFill,
} = primordials;

const NO_MINIMUM = 2 ** 63;

function bitLength(value) {
	return value >= 2 ** 32 ? 64 - MathClz32(value / 2 ** 32) : 32 - MathClz32(value);
}

const nanoseconds = () => native.hrtime() * 1e6;

export class HistogramHandle {
	constructor(lowest = 1, highest = NumberMAX_SAFE_INTEGER, figures = 3, halfLife = 0, threshold = 0) {
		lowest = Number(lowest);
		highest = Number(highest);
		const magnitude = MathCeil(MathLog2(2 * 10 ** figures));
		this.halfMagnitude = MathMax(magnitude, 1) - 1;
		this.unit = 2 ** MathFloor(MathLog2(lowest));
		this.unitMagnitude = MathFloor(MathLog2(lowest));
		this.subBuckets = 2 ** (this.halfMagnitude + 1);
		this.half = this.subBuckets / 2;
		let buckets = 1;
		for (let least = this.subBuckets * this.unit; least <= highest && least < 2 ** 62; least *= 2)
			buckets++;
		this.highest = highest;
		this.counts = new Float64Array((buckets + 1) * this.half);
		this.alpha = halfLife > 0 ? 1 - MathExp(-MathLog(2) / halfLife) : 0;
		this.threshold = threshold;
		this.reset();
	}
	reset() {
		TypedArrayPrototypeFill(this.counts, 0);
		this.total = 0;
		this.over = 0;
		this.smallest = NO_MINIMUM; // above zero
		this.largest = 0;
		this.previous = 0;
		this.average = undefined; // the moving ones
		this.variance = 0;
		this.errorRate = 0;
	}

	// ---- places ----

	bucket(value) {
		const bits = MathMax(bitLength(value), bitLength((this.subBuckets - 1) * this.unit));
		return bits - this.unitMagnitude - (this.halfMagnitude + 1);
	}
	index(value) {
		const bucket = this.bucket(value);
		const sub = MathFloor(value / (2 ** bucket * this.unit));
		return (bucket + 1) * this.half + sub - this.half;
	}
	valueAt(index) {
		const bucket = MathFloor(index / this.half) - 1;
		const sub = index % this.half;
		return bucket < 0 ? sub * this.unit : (sub + this.half) * 2 ** bucket * this.unit;
	}
	// How many values share a place with VALUE.
	range(value) {
		return 2 ** this.bucket(value) * this.unit;
	}
	lowestLike(value) {
		const range = this.range(value);
		return MathFloor(value / range) * range;
	}
	highestLike(value) {
		return this.lowestLike(value) + this.range(value) - 1;
	}
	medianLike(value) {
		return this.lowestLike(value) + MathFloor(this.range(value) / 2);
	}

	// ---- recording ----

	add1(value, count) {
		const index = this.index(value);
		if (value < 0 || value > this.highest || index >= this.counts.length) return false;
		this.counts[index] += count;
		this.total += count;
		if (value > 0) this.smallest = MathMin(this.smallest, value);
		this.largest = MathMax(this.largest, value);
		return true;
	}
	follow(value) {
		if (this.alpha <= 0) return;
		const exceeded = this.threshold > 0 && value > this.threshold ? 1 : 0;
		if (this.average === undefined) {
			this.average = value;
			this.errorRate = exceeded;
			return;
		}
		const difference = value - this.average;
		this.average += this.alpha * difference;
		this.variance = (1 - this.alpha) * (this.variance + this.alpha * difference * difference);
		this.errorRate += this.alpha * (exceeded - this.errorRate);
	}
	record(given) {
		const value = Number(given);
		if (this.add1(value, 1)) this.follow(value);
		else this.over++;
	}
	recordDelta() {
		const now = nanoseconds();
		if (this.previous > 0) this.record(MathFloor(MathMax(now - this.previous, 0)));
		this.previous = now;
	}
	recordCorrected(given, interval) {
		const value = Number(given);
		const step = Number(interval);
		this.record(value);
		if (step <= 0 || value <= step) return;
		for (let missing = value - step; missing >= step; missing -= step)
			if (!this.add1(missing, 1)) break;
	}
	add(other) {
		this.over += other.over;
		this.previous = MathMax(this.previous, other.previous);
		const { length } = other.counts;
		for (let i = 0; i < length; i++)
			if (other.counts[i] > 0 && !this.add1(other.valueAt(i), other.counts[i]))
				this.over += other.counts[i];
	}
	subtract(other) {
		const length = MathMin(this.counts.length, other.counts.length);
		for (let i = 0; i < length; i++)
			this.counts[i] = MathMax(this.counts[i] - other.counts[i], 0);
		this.over = MathMax(this.over - other.over, 0);
		this.total = 0;
		this.smallest = NO_MINIMUM;
		this.largest = 0;
		for (let i = 0; i < this.counts.length; i++) {
			if (this.counts[i] === 0) continue;
			this.total += this.counts[i];
			this.largest = this.highestLike(this.valueAt(i));
			if (i > 0 && this.smallest === NO_MINIMUM) this.smallest = this.valueAt(i);
		}
	}

	// ---- numbers ----

	count() {
		return this.total;
	}
	countBigInt() {
		return BigInt(this.total);
	}
	exceeds() {
		return this.over;
	}
	exceedsBigInt() {
		return BigInt(this.over);
	}
	min() {
		if (this.counts[0] > 0) return 0;
		return this.smallest === NO_MINIMUM ? Number(2n ** 63n - 1n) : this.lowestLike(this.smallest);
	}
	minBigInt() {
		return this.smallest === NO_MINIMUM && this.counts[0] === 0
			? 2n ** 63n - 1n
			: BigInt(this.min());
	}
	max() {
		return this.largest === 0 ? 0 : this.highestLike(this.largest);
	}
	maxBigInt() {
		return BigInt(this.max());
	}
	// The sum of what CALLBACK(value, count) gives for all that was recorded.
	sum(callback) {
		let result = 0;
		let seen = 0;
		for (let i = 0; i < this.counts.length && seen < this.total; i++) {
			if (this.counts[i] === 0) continue;
			seen += this.counts[i];
			result += callback(this.medianLike(this.valueAt(i)), this.counts[i]);
		}
		return result;
	}
	mean() {
		return this.total === 0 ? NaN : this.sum((value, count) => value * count) / this.total;
	}
	moment(power) {
		const mean = this.mean();
		return this.sum((value, count) => MathPow(value - mean, power) * count) / this.total;
	}
	stddev() {
		return this.total === 0 ? NaN : MathSqrt(this.moment(2));
	}
	skewness() {
		if (this.total < 3) return 0;
		const variance = this.moment(2);
		return variance === 0 ? 0 : this.moment(3) / (variance * MathSqrt(variance));
	}
	kurtosis() {
		if (this.total < 4) return 0;
		const variance = this.moment(2);
		return variance === 0 ? 0 : this.moment(4) / (variance * variance) - 3;
	}
	ewmaMean() {
		return this.average ?? 0;
	}
	ewmaStddev() {
		return MathSqrt(this.variance);
	}
	ewmaErrorRate() {
		return this.errorRate;
	}
	cdf(value) {
		if (this.total === 0) return 0;
		let seen = 0;
		for (let i = 0; i < this.counts.length && seen < this.total; i++) {
			seen += this.counts[i];
			if (this.highestLike(this.valueAt(i)) >= value) return seen / this.total;
		}
		return 1;
	}
	countAt(value) {
		if (!(value >= 0)) return 0;
		return this.counts[this.index(MathFloor(value))] ?? 0;
	}

	// ---- percentiles ----

	percentile(percentile) {
		const wanted = MathMax(MathFloor((MathMin(percentile, 100) / 100) * this.total + 0.5), 1);
		let seen = 0;
		for (let i = 0; i < this.counts.length && seen < this.total; i++) {
			seen += this.counts[i];
			if (seen >= wanted) return this.highestLike(this.valueAt(i));
		}
		return 0;
	}
	percentileBigInt(percentile) {
		return BigInt(this.percentile(percentile));
	}
	// The steps halve the distance to 100 %.
	eachPercentile(callback) {
		let seen = 0;
		let next = 0;
		let last = 0;
		for (let i = 0; i < this.counts.length && seen < this.total; i++) {
			if (this.counts[i] === 0) continue;
			seen += this.counts[i];
			last = this.valueAt(i);
			const current = (100 * seen) / this.total;
			while (next <= current) {
				callback(next, last);
				if (seen >= this.total) break;
				const halvings = MathFloor(MathLog(100 / (100 - next)) / MathLog(2)) + 1;
				next += 100 / 2 ** halvings;
			}
		}
		callback(100, last);
	}
	percentiles(map) {
		this.eachPercentile((percentile, value) => MapPrototypeSet(map, percentile, value));
	}
	percentilesBigInt(map) {
		this.eachPercentile((percentile, value) => MapPrototypeSet(map, percentile, BigInt(value)));
	}
	percentilesAt(map, percentiles) {
		for (let i = 0; i < percentiles.length; i++)
			MapPrototypeSet(map, percentiles[i], this.percentile(percentiles[i]));
	}

	// ---- buckets ----

	// Fills MAP with the counts up to each level of the scale that FIRST and NEXT(level) make.
	// A level lies at the value that is the lowest of its place.
	levels(map, first, next) {
		let value = 0;
		let index = 0;
		let seen = 0;
		for (let level = first; ; level = next(level)) {
			const lowest = this.lowestLike(level);
			const more = index < this.counts.length && this.valueAt(index) > lowest;
			if (seen >= this.total && !more) return;
			let count = 0;
			for (; value < lowest && index < this.counts.length; index++) {
				value = this.valueAt(index);
				count += this.counts[index];
			}
			seen += count;
			MapPrototypeSet(map, value, count);
			if (index === this.counts.length) return;
		}
	}
	linearBuckets(step, map) {
		this.levels(map, step, (level) => level + step);
	}
	logBuckets(first, base, map) {
		this.levels(map, first, (level) => MathMax(level + 1, MathFloor(level * base)));
	}

	// ---- two of them ----

	ksTest(other) {
		if (this.total === 0 || other.total === 0) return 0;
		const length = MathMax(this.counts.length, other.counts.length);
		let most = 0;
		let mine = 0;
		let theirs = 0;
		for (let i = 0; i < length; i++) {
			mine += this.counts[i] ?? 0;
			theirs += other.counts[i] ?? 0;
			most = MathMax(most, MathAbs(mine / this.total - theirs / other.total));
		}
		return most;
	}
	// The difference of the means, in standard deviations.
	cohensD(other) {
		if (other === this || this.total < 2 || other.total < 2) return 0;
		const squares = this.moment(2) * this.total + other.moment(2) * other.total;
		const pooled = MathSqrt(squares / (this.total + other.total - 2));
		return pooled === 0 ? 0 : (this.mean() - other.mean()) / pooled;
	}
	// How much oftener a value here is larger than one there, than the other way round.
	cliffsD(other) {
		if (other === this || this.total === 0 || other.total === 0) return 0;
		const length = MathMax(this.counts.length, other.counts.length);
		let smaller = 0; // there, up to this place
		let larger = 0;
		let tied = 0;
		for (let i = 0; i < length; i++) {
			const mine = this.counts[i] ?? 0;
			const theirs = other.counts[i] ?? 0;
			larger += mine * smaller;
			tied += mine * theirs;
			smaller += theirs;
		}
		const pairs = this.total * other.total;
		return (larger - (pairs - larger - tied)) / pairs;
	}
}
isolate(HistogramHandle);

// Of monitorEventLoopDelay: the time from one turn of a timer to the next.
export class DelayHandle extends HistogramHandle {
	constructor(resolution) {
		super(1, 3.6e12, 3);
		this.resolution = resolution;
		this.timer = undefined;
	}
	start(reset) {
		if (this.timer !== undefined) return;
		if (reset) this.reset();
		this.previous = 0;
		this.timer = setInterval(() => this.recordDelta(), this.resolution);
		this.timer.unref();
	}
	stop() {
		clearInterval(this.timer);
		this.timer = undefined;
	}
}
