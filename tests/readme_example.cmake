# The C++ examples of the README: built as they stand there, run twice, their output
# checked.

file(READ ${PROJECT_SOURCE_DIR}/README.md readme)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/README.md)

# quarry_readme_example(<name> <regex of what stands behind it> <regex of its output>)
function(quarry_readme_example name behind output)
  string(REGEX MATCH "```cpp\n(.*)\n```\n\n${behind}" found "${readme}")
  # The last of the blocks before that.
  string(REGEX REPLACE "^.*\n```cpp\n" "" code "${CMAKE_MATCH_1}")
  if(NOT found)
    message(FATAL_ERROR "README.md has no C++ example before \"${behind}\"")
  endif()
  set(source ${CMAKE_CURRENT_BINARY_DIR}/readme_${name}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "${code}\n" @ONLY)
  add_executable(quarry_readme_${name} ${source})
  target_link_libraries(quarry_readme_${name} PRIVATE quarry ${QUARRY_DEPENDENCIES} quarry_warnings)
  add_test(NAME readme.${name}
    COMMAND sh -c "cd $(mktemp -d) && $<TARGET_FILE:quarry_readme_${name}> && $<TARGET_FILE:quarry_readme_${name}>")
  set_tests_properties(readme.${name} PROPERTIES PASS_REGULAR_EXPRESSION "${output}")
endfunction()

quarry_readme_example(example "Install with"
  "^red 0.894427 {\"warm\":true}\nlime 0.613941 -\nred 0.894427 {\"warm\":true}\nlime 0.613941 -\n$")
quarry_readme_example(service "## On the command line"
  "^open OK\ncreate_collection OK\nsearch OK\nopen OK\nsearch OK\n$")
