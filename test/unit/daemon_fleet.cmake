# The instances of one program, what happened to them, and how connections are shared. In
# daemon_fleet the workers are pretended: how they end is what is tested.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
foreach(name fleet fleet_turns)
  add_executable(daemon_${name}_test ${CMAKE_CURRENT_LIST_DIR}/daemon_${name}_test.c
    ${CMAKE_CURRENT_LIST_DIR}/daemon_fleet_world.c
    ${PROJECT_SOURCE_DIR}/daemon/fleet.c ${PROJECT_SOURCE_DIR}/daemon/backoff.c
    ${PROJECT_SOURCE_DIR}/daemon/start_queue.c)
  target_include_directories(daemon_${name}_test PRIVATE ${CMAKE_CURRENT_LIST_DIR})
  target_link_libraries(daemon_${name}_test PRIVATE common PkgConfig::SYSTEMD PkgConfig::JANSSON
    PkgConfig::CMOCKA)
  add_test(NAME daemon_${name} COMMAND daemon_${name}_test)
endforeach()
foreach(name events split)
  add_executable(daemon_${name}_test ${CMAKE_CURRENT_LIST_DIR}/daemon_${name}_test.c)
  target_link_libraries(daemon_${name}_test PRIVATE daemon PkgConfig::CMOCKA)
  add_test(NAME daemon_${name} COMMAND daemon_${name}_test)
endforeach()
