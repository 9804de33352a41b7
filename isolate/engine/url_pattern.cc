/* Patterns of URLs: ada's, without its regular expressions. */
#include "isolate/engine/url_pattern.h"

#include <ada.h>
#include <iterator>

namespace
{

/* What the one parser at work calls. */
thread_local url_pattern_regexp regexp_callback;
thread_local void *regexp_arg;

url_pattern_text text_of(std::string_view view)
{
	return {view.data(), view.size()};
}

/* "Compiles" to the source: whoever asks runs it in its own engine. */
struct source_provider {
	using regex_type = std::string;
	static std::optional<std::string> create_instance(std::string_view source, bool)
	{
		if (!regexp_callback(regexp_arg, text_of(source), {nullptr, 0}))
			return std::nullopt;
		return std::string(source);
	}
	static bool regex_match(std::string_view input, const std::string &source)
	{
		return regexp_callback(regexp_arg, text_of(source), text_of(input));
	}
	/* Only for matching, which is not done here. */
	static std::optional<std::vector<std::optional<std::string>>> regex_search(
		std::string_view, const std::string &)
	{
		return std::nullopt;
	}
};

using pattern_type = ada::url_pattern<source_provider>;
using component_type = ada::url_pattern_component<source_provider>;

std::optional<std::string> optional_of(const url_pattern_text &text)
{
	if (!text.data)
		return std::nullopt;
	return std::string(text.data, text.length);
}

/* In the order of URL_PATTERN_PROTOCOL and so on. */
constexpr std::optional<std::string> ada::url_pattern_init::*const init_members[] = {
	&ada::url_pattern_init::protocol,
	&ada::url_pattern_init::username,
	&ada::url_pattern_init::password,
	&ada::url_pattern_init::hostname,
	&ada::url_pattern_init::port,
	&ada::url_pattern_init::pathname,
	&ada::url_pattern_init::search,
	&ada::url_pattern_init::hash,
};
constexpr component_type pattern_type::*const components[] = {
	&pattern_type::protocol_component,
	&pattern_type::username_component,
	&pattern_type::password_component,
	&pattern_type::hostname_component,
	&pattern_type::port_component,
	&pattern_type::pathname_component,
	&pattern_type::search_component,
	&pattern_type::hash_component,
};
static_assert(std::size(init_members) == URL_PATTERN_COMPONENTS);
static_assert(std::size(components) == URL_PATTERN_COMPONENTS);

ada::url_pattern_init init_of(const url_pattern_input &input)
{
	ada::url_pattern_init init;
	for (unsigned i = 0; i < URL_PATTERN_COMPONENTS; i++)
		init.*init_members[i] = optional_of(input.members[i]);
	init.base_url = optional_of(input.base);
	return init;
}

url_pattern_kind kind_of(ada::url_pattern_component_type type)
{
	switch (type) {
	case ada::url_pattern_component_type::EMPTY:
		return URL_PATTERN_EMPTY;
	case ada::url_pattern_component_type::EXACT_MATCH:
		return URL_PATTERN_LITERAL;
	case ada::url_pattern_component_type::FULL_WILDCARD:
		return URL_PATTERN_ANYTHING;
	case ada::url_pattern_component_type::REGEXP:
		break;
	}
	return URL_PATTERN_REGEXP;
}

} // namespace

struct url_pattern {
	pattern_type pattern;
};

struct url_pattern *url_pattern_parse(const struct url_pattern_input *input, bool ignore_case,
	url_pattern_regexp regexp, void *arg)
{
	regexp_callback = regexp;
	regexp_arg = arg;
	const ada::url_pattern_options options = {.ignore_case = ignore_case};
	std::string_view base;
	const bool has_base = input->text.data && input->base.data;
	if (has_base)
		base = {input->base.data, input->base.length};
	ada::url_pattern_input given;
	if (input->text.data)
		given = std::string_view(input->text.data, input->text.length);
	else
		given = init_of(*input);
	auto pattern = ada::parse_url_pattern<source_provider>(
		std::move(given), has_base ? &base : nullptr, &options);
	if (!pattern)
		return nullptr;
	return new url_pattern{std::move(*pattern)};
}

struct url_pattern *url_pattern_free(struct url_pattern *pattern)
{
	delete pattern;
	return nullptr;
}

void url_pattern_get(const struct url_pattern *pattern, unsigned index,
	struct url_pattern_component *ret_component)
{
	const component_type &component = pattern->pattern.*components[index];
	const url_pattern_kind kind = kind_of(component.type);
	*ret_component = {
		.pattern = text_of(component.pattern),
		.kind = kind,
		.text = text_of(kind == URL_PATTERN_LITERAL ? component.exact_match_value
							    : component.regexp),
		.regexp_groups = component.has_regexp_groups,
		.name_count = component.group_name_list.size(),
	};
}

struct url_pattern_text url_pattern_name(
	const struct url_pattern *pattern, unsigned component, size_t index)
{
	return text_of((pattern->pattern.*components[component]).group_name_list[index]);
}

bool url_pattern_process(const struct url_pattern_input *input,
	void (*take)(void *arg, unsigned index, struct url_pattern_text text), void *arg)
{
	auto processed = ada::url_pattern_init::process(init_of(*input),
		ada::url_pattern_init::process_type::url, "", "", "", "", "", "", "", "");
	if (!processed)
		return false;
	for (unsigned i = 0; i < URL_PATTERN_COMPONENTS; i++) {
		const std::optional<std::string> &member = (*processed).*init_members[i];
		std::string_view view = member ? std::string_view(*member) : std::string_view("");
		if (i == URL_PATTERN_SEARCH && view.starts_with('?'))
			view.remove_prefix(1);
		take(arg, i, text_of(view));
	}
	return true;
}
