/* Sizes, durations and percentages as people write them: a whole number with a unit,
 * no sign, no space. Sizes count in powers of 1024. */
#pragma once

#include <stdint.h>

#define UNITS_KIB (UINT64_C(1) << 10)
#define UNITS_MIB (UINT64_C(1) << 20)
#define UNITS_GIB (UINT64_C(1) << 30)
#define UNITS_TIB (UINT64_C(1) << 40)

/* "0", "512", "64K", "128M", "2G", "1T". Returns 0, -EINVAL when TEXT is no size,
 * -ERANGE when it does not fit. */
int units_parse_size(const char *text, uint64_t *ret_bytes);

/* "0", "500ms", "30s", "5m", "2h": a unit is needed unless it is 0. As above. */
int units_parse_duration(const char *text, uint64_t *ret_ms);

/* "50%". As above. */
int units_parse_percent(const char *text, uint64_t *ret_percent);

/* Back into text, in the largest unit that divides the number: parsing it gives the
 * same number. */
#define UNITS_TEXT_MAX 32
void units_format_size(uint64_t bytes, char text[UNITS_TEXT_MAX]);
void units_format_duration(uint64_t ms, char text[UNITS_TEXT_MAX]);
void units_format_percent(uint64_t percent, char text[UNITS_TEXT_MAX]);
