# The probes of an instance and the schedules of a tenant, against a worker made of a socket.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
foreach(name health schedule)
  add_executable(daemon_${name}_test ${CMAKE_CURRENT_LIST_DIR}/daemon_${name}_test.c)
  target_link_libraries(daemon_${name}_test PRIVATE daemon PkgConfig::CMOCKA)
  add_test(NAME daemon_${name} COMMAND daemon_${name}_test)
endforeach()
