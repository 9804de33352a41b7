if(TENANTD_FUZZ)
  # The library, with every native function wrapped before it sees them.
  set(natives_fuzz ${CMAKE_CURRENT_SOURCE_DIR}/natives)
  set(natives_script ${CMAKE_BINARY_DIR}/natives_fuzz.js)
  set(natives_snapshot ${CMAKE_BINARY_DIR}/natives_fuzz.snapshot)
  add_custom_command(OUTPUT ${natives_snapshot}
    COMMAND cat ${natives_fuzz}/prologue.js ${CMAKE_BINARY_DIR}/library.js > ${natives_script}
    COMMAND tenant-snapshot ${natives_script} ${natives_snapshot}
    DEPENDS tenant-snapshot ${CMAKE_BINARY_DIR}/library.js ${natives_fuzz}/prologue.js VERBATIM)
  add_custom_target(natives_fuzz_snapshot DEPENDS ${natives_snapshot})
  add_dependencies(natives_fuzz_snapshot library_snapshot)
  add_executable(natives_fuzz natives_fuzz.c)
  target_compile_definitions(natives_fuzz PRIVATE NATIVES_FUZZ_PROGRAMS="${natives_fuzz}"
    NATIVES_FUZZ_SNAPSHOT="${natives_snapshot}")
  target_compile_options(natives_fuzz PRIVATE -fsanitize=fuzzer)
  target_link_options(natives_fuzz PRIVATE -fsanitize=fuzzer)
  target_link_libraries(natives_fuzz isolate)
  add_dependencies(natives_fuzz natives_fuzz_snapshot)
endif()
