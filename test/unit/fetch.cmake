# fetch() over real servers; the tests are its egress process.
add_executable(fetch_host ${CMAKE_SOURCE_DIR}/test/bench/fetch_host.c)
target_link_libraries(fetch_host isolate)
add_dependencies(fetch_host library_snapshot)
foreach(name request response failure connection)
  add_test(NAME fetch_${name}
    COMMAND python3 ${CMAKE_SOURCE_DIR}/test/unit/fetch_${name}_test.py
      $<TARGET_FILE:fetch_host> ${CMAKE_BINARY_DIR}/library.snapshot)
  set_tests_properties(fetch_${name} PROPERTIES TIMEOUT 240)
  if(TENANTD_SANITIZE)
    set_tests_properties(fetch_${name} PROPERTIES ENVIRONMENT "ASAN_OPTIONS=detect_leaks=0")
  endif()
endforeach()
