pkg_check_modules(LLHTTP REQUIRED IMPORTED_TARGET libllhttp)

# The parser knows nothing of sockets or JavaScript: it is tested without them.
add_executable(http_parse_test http_parse_test.c ${CMAKE_SOURCE_DIR}/isolate/http_parse.c)
target_link_libraries(http_parse_test PkgConfig::LLHTTP ${ADA_LIBRARY} cmocka)
add_test(NAME http_parse COMMAND http_parse_test)

# The server over real sockets.
add_executable(http_host ${CMAKE_SOURCE_DIR}/test/bench/http_host.c)
target_link_libraries(http_host isolate)
add_dependencies(http_host library_snapshot)
add_test(NAME http_server
  COMMAND python3 ${CMAKE_SOURCE_DIR}/test/unit/http_server_test.py
    $<TARGET_FILE:http_host> ${CMAKE_BINARY_DIR}/library.snapshot)
set_tests_properties(http_server PROPERTIES TIMEOUT 180)

# Headers, Request, Response, FormData in the real engine: the programs of test/js/fetch
# run as those of test/js/weblib do.
file(GLOB fetch_programs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/test/js/fetch/*.js)
add_test(NAME fetch
  COMMAND weblib_test ${CMAKE_BINARY_DIR}/library.snapshot
    ${CMAKE_SOURCE_DIR}/test/js/harness.js ${fetch_programs})

# V8's isolate lives until the process ends: what it still holds then is no leak.
if(TENANTD_SANITIZE)
  set_tests_properties(http_server PROPERTIES ENVIRONMENT "ASAN_OPTIONS=detect_leaks=0")
endif()
