# fetch() over real servers; the test is its egress process.
add_executable(fetch_host ${CMAKE_SOURCE_DIR}/test/bench/fetch_host.c)
target_link_libraries(fetch_host isolate)
add_dependencies(fetch_host library_snapshot)
add_test(NAME fetch_client
  COMMAND python3 ${CMAKE_SOURCE_DIR}/test/unit/fetch_client_test.py
    $<TARGET_FILE:fetch_host> ${CMAKE_BINARY_DIR}/library.snapshot)
set_tests_properties(fetch_client PROPERTIES TIMEOUT 240)
if(TENANTD_SANITIZE)
  set_tests_properties(fetch_client PROPERTIES ENVIRONMENT "ASAN_OPTIONS=detect_leaks=0")
endif()
