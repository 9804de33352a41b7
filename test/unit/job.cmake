# sandbox_harness is made in sandbox.cmake.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

add_executable(job_test ${CMAKE_CURRENT_LIST_DIR}/job_test.c)
target_link_libraries(job_test PRIVATE sandbox_harness PkgConfig::CMOCKA Threads::Threads)
add_test(NAME job COMMAND job_test)
set_tests_properties(job PROPERTIES RUN_SERIAL TRUE TIMEOUT 120)
