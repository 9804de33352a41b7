# The JavaScript library's web standards, in the real engine.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
file(GLOB weblib_programs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/test/js/weblib/*.js)
add_executable(weblib_test ${CMAKE_CURRENT_LIST_DIR}/weblib_test.c)
target_link_libraries(weblib_test PRIVATE isolate PkgConfig::CMOCKA)
add_dependencies(weblib_test library_snapshot)
add_test(NAME weblib
  COMMAND weblib_test ${CMAKE_BINARY_DIR}/library.snapshot
    ${CMAKE_SOURCE_DIR}/test/js/harness.js ${weblib_programs})
