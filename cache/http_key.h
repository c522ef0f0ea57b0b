// cache/http_key.h
// Under which name the cache keeps a response: host, path and query of its request.
//
//     GET /live/a.m3u8?token=x&_HLS_msn=7   Host: A.org:8080   ─►   a.org:8080/live/a.m3u8?_HLS_msn=7
//
// Without a scheme, so that what was fetched for http serves https. Arguments stay as they are and in
// their order, but for those that the operator says name the viewer and not the content.
//
// Threading: pure functions. Bounds: the request's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir {

// `target` in origin form.
std::string http_cache_key(std::string_view host, std::string_view target,
                           const std::vector<std::string>& ignored_arguments);
void append_http_cache_key(std::string_view host, std::string_view target,
                           const std::vector<std::string>& ignored_arguments, std::string& out);

// The key of what `reference`, a Location or Content-Location, names from within `base_key`'s
// response; empty when that is on another host. Ignored arguments are not looked at.
std::string http_cache_key_of_reference(std::string_view base_key, std::string_view reference);

}  // namespace weir
